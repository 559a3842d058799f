"""Control routes below ``/_control/``, for a stand-in that runs in its own process.

They are not part of SciCat, are neither recorded nor subject to faults, and ask for no account: serve the
stand-in on the loopback interface only.

- ``GET /_control/requests?method=&path_contains=``: the recorded requests; ``DELETE`` forgets them.
- ``POST /_control/faults`` with the fields of :class:`Fault`; ``DELETE`` ends all faults.
- ``POST /_control/tokens/expire`` with ``{"long_lived": false}``.
- ``PUT /_control/lifecycle-route`` with ``{"offered": false}``.
- ``PUT /_control/url-action`` with ``{"url", "token", "template"}``; ``{}`` removes the action.
"""

import json
from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request

from stand_ins.scicat.answers import Answer, JsonObject
from stand_ins.scicat.faults import Fault, Faults
from stand_ins.scicat.jobs import JobType
from stand_ins.scicat.request_log import RequestLog
from stand_ins.scicat.url_action import archival_service


class Controlled(Protocol):
    """The part of the stand-in that can be controlled from outside."""

    log: RequestLog
    faults: Faults

    def expire_tokens(self, *, long_lived: bool = False) -> None:
        """Make all tokens issued so far worthless."""

    def offer_lifecycle_route(self, *, offered: bool) -> None:
        """Switch the lifecycle sub-resource off or on."""

    def set_job_type(self, job_type: JobType) -> None:
        """Add or replace an entry of the job configuration."""


class Control:
    """Answers the control routes of one stand-in."""

    def __init__(self, controlled: Controlled) -> None:
        self._controlled = controlled
        self._routes: dict[tuple[str, str], Callable[[JsonObject, Request], object]] = {
            ("GET", "requests"): self._requests,
            ("DELETE", "requests"): lambda _body, _request: controlled.log.clear(),
            ("POST", "faults"): lambda body, _request: controlled.faults.add(Fault(**body)),
            ("DELETE", "faults"): lambda _body, _request: controlled.faults.clear(),
            ("POST", "tokens/expire"): lambda body, _request: controlled.expire_tokens(**body),
            ("PUT", "lifecycle-route"): lambda body, _request: controlled.offer_lifecycle_route(**body),
            ("PUT", "url-action"): self._url_action,
        }

    def answer(self, request: Request, body: bytes) -> Answer:
        """Do what a control request asks: 200 with the result, 404 or 422 with what is wrong."""
        name = request.url.path.removeprefix("/_control/").rstrip("/")
        route = self._routes.get((request.method, name))
        if route is None:
            return Answer(404, {"message": f"no control route {request.method} {name}"})
        try:
            return Answer(200, {"result": route(json.loads(body or b"{}"), request)})
        except (TypeError, ValueError, KeyError) as error:
            return Answer(422, {"message": str(error)})

    def _requests(self, _body: JsonObject, request: Request) -> object:
        asked = request.query_params
        found = self._controlled.log.requests(
            method=asked.get("method"), path_contains=asked.get("path_contains", "")
        )
        return [one.as_json() for one in found]

    def _url_action(self, body: JsonObject, _request: Request) -> None:
        action = (
            archival_service(body["url"], body["token"], body.get("template", "observed")) if body else None
        )
        self._controlled.set_job_type(JobType(create_action=action))
