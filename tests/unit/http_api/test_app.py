import pytest
from starlette.testclient import TestClient

from scicat_retriever import __version__
from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RequestError, concrete_errors
from scicat_retriever.http_api.app import create_app
from scicat_retriever.http_api.problems import HTTP_STATUS
from tests.unit.http_api.rig import AUTHORIZED, JOBS, assert_problem


def test_health_says_that_the_process_answers(client: TestClient) -> None:
    assert client.get("/api/v1/health").json() == {"status": "ok", "version": __version__}


@pytest.mark.parametrize("path", ["/", "/api/v1/nothing", f"{JOBS}/a/b", "/api/v1/downloads/"])
def test_an_unknown_path_is_a_problem(client: TestClient, path: str) -> None:
    assert_problem(client.get(path, headers=AUTHORIZED), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", JOBS), ("GET", JOBS), ("POST", f"{JOBS}/x"), ("PUT", "/api/v1/downloads/x")],
)
def test_a_method_that_is_not_served_is_a_problem(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path, headers=AUTHORIZED)
    assert_problem(response, 405)
    assert response.headers["allow"]


def test_each_error_of_a_request_has_an_http_status() -> None:
    requests = {kind for kind in concrete_errors() if issubclass(kind, RequestError)}
    assert requests <= set(HTTP_STATUS)
    assert all(400 <= HTTP_STATUS[kind] < 500 for kind in requests)
    assert set(HTTP_STATUS) - requests == {
        errors.DownloadsBusy,
        errors.EngineUnavailable,
        errors.LedgerUnavailable,
        errors.StagingWriteFailed,
        errors.StagingNotOurs,
        errors.QuotaExceeded,
        errors.JobLargerThanStaging,
    }


def test_the_openapi_document_is_served(client: TestClient) -> None:
    assert client.get("/api/openapi.json").json() == create_app(None).openapi()


def test_every_documented_error_is_a_problem_detail() -> None:
    document = create_app(None).openapi()
    answers = [
        (route, answer["content"])
        for route, path in document["paths"].items()
        if route != "/api/v1/ready"  # not being ready is what it is asked for, and no error of the request
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
    ]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    page = {"text/html": {"schema": {"type": "string"}}}  # what browsers get that follow a link
    followed = ("/api/v1/downloads/", "/retrievals/")
    assert len(answers) >= 13
    assert all(
        content == (problem | page if route.startswith(followed) else problem) for route, content in answers
    )
    assert "HTTPValidationError" not in document["components"]["schemas"]
