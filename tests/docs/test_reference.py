"""The pages of the reference that are made from the code are what the code makes."""

import json
from pathlib import Path

from scicat_retriever.cli import errors_page
from scicat_retriever.domain.errors import concrete_errors
from scicat_retriever.http_api.app import create_app
from scicat_retriever.settings import page as settings_page

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def remedy(name: str) -> str:
    return f"docs/reference/{name} is not what the code says: run `make docs-reference`"


def test_the_page_of_settings_is_up_to_date() -> None:
    assert page("settings.md") == settings_page.reference(), remedy("settings.md")


def test_the_page_of_errors_is_up_to_date() -> None:
    assert page("errors.md") == errors_page.reference(), remedy("errors.md")


def test_the_openapi_document_is_up_to_date() -> None:
    assert json.loads(page("openapi.json")) == create_app(None).openapi(), remedy("openapi.json")


def test_each_error_has_one_row_that_says_what_it_means() -> None:
    rows = [line.strip("| ").split(" | ") for line in errors_page.reference().splitlines() if "| `" in line]
    assert [row[0].strip("`") for row in rows] == [error.code for error in concrete_errors()]
    assert all(len(row) == 8 and row[-1].endswith(".") for row in rows)
