"""The ``url`` action of SciCat's job configuration: a POST to the archival service for each new job.

It runs after the job is stored and inside the user's own request. If the target is down or answers anything
but 2xx, the user sees that error and the job stays as it is.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx2

from stand_ins import local_http
from stand_ins.scicat.answers import JsonObject, application_refusal
from stand_ins.scicat.job_shapes import show_job

Template = Literal["observed", "v4", "v3", "short"]

_NODE_HEADERS = {
    "accept": "*/*",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
    "user-agent": "node",
    "accept-encoding": "gzip, deflate",
}


@dataclass(frozen=True)
class JobContext:
    """What an operator's template can show: the stored job, its datasets, and the user's request (as v4)."""

    job: JsonObject
    datasets: list[JsonObject]
    request: JsonObject


@dataclass(frozen=True)
class UrlAction:
    """Where and how to send a job.

    Attributes:
        url: the target; ``{id}`` in it stands for the job id.
        headers: sent along, ``{id}`` as in the URL; the operator's token among them.
        template: body to send: ``observed`` has everything that was seen, ``v4`` the stored job, ``v3`` its
            v3 form, ``short`` only id and type.
        ignore_errors: whether the user's request succeeds although the action failed.
        timeout_seconds: how long to wait for the answer.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    template: Template = "observed"
    ignore_errors: bool = False
    timeout_seconds: float = 300.0

    async def perform(self, context: JobContext) -> None:
        """Send the job; raises the refusal that the user gets to see."""
        job_id = context.job["id"]
        body = json.dumps(_TEMPLATES[self.template](context), indent=2)
        headers = {name: value.replace("{id}", job_id) for name, value in self.headers.items()}
        client = httpx2.AsyncClient(
            timeout=self.timeout_seconds,
            trust_env=False,
            verify=local_http.authorities(),
            headers=_NODE_HEADERS,
        )
        try:
            async with client:
                answer = await client.post(
                    self.url.replace("{id}", job_id),
                    content=body,
                    headers={"Content-Type": "application/json", **headers},
                )
        except httpx2.TransportError:
            failure = (
                f"Job '{context.job['type']}' unable to perform action 'url' due to TypeError: fetch failed"
            )
            refusal = application_refusal(400, f"Invalid job input. {failure}")
        else:
            if answer.is_success:
                return
            text = f"A remote URL call failed with response: {answer.text}"
            refusal = application_refusal(answer.status_code, text)
        if not self.ignore_errors:
            raise refusal


def archival_service(url: str, token: str, template: Template = "observed") -> UrlAction:
    """Give the action that an operator sets up for an archival service: bearer token and job id as headers."""
    headers = {"Authorization": f"Bearer {token}", "X-Scicat-Job": "{id}"}
    return UrlAction(url, headers, template)


def _observed(context: JobContext) -> JsonObject:
    job = context.job
    keys = ("id", "type", "statusCode", "ownerUser", "ownerGroup", "contactEmail", "jobParams")
    return {
        # A template language shows what a job lacks as an empty text.
        **{key: job.get(key, "") for key in keys},
        "datasets": context.datasets,
        "job_v3": _v3_for_templates(job),
        "job": job,
        "request": context.request,
    }


def _v3_for_templates(job: JsonObject) -> JsonObject:
    shown = show_job(job, "v3")
    for key in ("_id", "jobResultObject"):
        shown.pop(key, None)
    shown["jobParams"] = {**job["jobParams"], **shown["jobParams"]}
    return shown


_TEMPLATES: dict[Template, Callable[[JobContext], JsonObject]] = {
    "observed": _observed,
    "v4": lambda context: context.job,
    "v3": lambda context: show_job(context.job, "v3"),
    "short": lambda context: {"id": context.job["id"], "type": context.job["type"]},
}
