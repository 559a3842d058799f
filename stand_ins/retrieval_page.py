"""From a job's result, as SciCat holds it, to its datablocks: by the page of each dataset, as programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stand_ins import local_http


def page(url: str) -> dict[str, Any]:
    """Give what a page of a retrieval, or of a dataset of it, shows.

    Raises:
        httpx2.HTTPError: There is no answer, or a refusal.
    """
    answer = local_http.get(url, headers={"Accept": "application/json"})
    answer.raise_for_status()
    shown: dict[str, Any] = answer.json()
    return shown


def datablocks(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give all that a job offers: its datablocks as the pages show them, each with its `datasetId`.

    Args:
        job: As SciCat has it.

    Raises:
        httpx2.HTTPError: As of `page`.
    """
    entries = (job.get("jobResultObject") or {}).get("result", [])
    return [block for entry in entries for block in datablocks_of(entry)]


def datablocks_of(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the datablocks of a dataset that the page has of it; none where it is not kept any more.

    Args:
        entry: Of the `result` of a job's `jobResultObject`.

    Raises:
        httpx2.HTTPError: As of `page`.
    """
    url: str | None = entry["url"]
    while url is not None:
        shown = page(url)
        for block in shown["datablocks"] or []:
            yield {"datasetId": shown["pid"], **block}
        url = shown["next"]
