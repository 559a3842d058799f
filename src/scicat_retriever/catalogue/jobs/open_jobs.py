"""All open jobs, found by v4 of SciCat's interface, or by v3 where a backend has no v4 of it.

ALL jobs come in one answer. Its limit is far above the number of jobs that a facility has open; where an
answer fills the limit, it is asked for again with a larger one. Pages would lose jobs: SciCat applies `skip`
to what `limit` has left, and jobs that close between two pages move the others forward. Nor can new jobs be
asked for by their time: SciCat's comparisons of dates match nothing.

The answer stays small since only the fields that name a job are asked for (`fields`). Its dataset list and
its result may have 16 MB each, and SciCat would hold and sort them in memory for all jobs at once.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

from scicat_retriever.catalogue.errors import cleaned
from scicat_retriever.catalogue.jobs.jobs import Jobs
from scicat_retriever.catalogue.listing import elements
from scicat_retriever.catalogue.rights import READ_JOBS
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import encoded, optional_name, owner_of, parse_job
from scicat_retriever.domain.errors import CatalogueForbidden, CatalogueJobUnknown, JobMalformed
from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.catalogue import OPEN, ListedJob, Visibility

FIRST_LIMIT = 10_000
"""Number of jobs that are asked for at first; ten times as many each time that there may be more."""

LIST = "/api/v4/jobs"
LIST_V3 = "/api/v3/jobs/fullquery"
WHO_AM_I = "/api/v3/auth/whoami"

_NAMING = ("id", "type", "ownerUser", "ownerGroup")
_FIELDS = (*_NAMING, "statusCode", "updatedBy", "createdAt")


class OpenJobs:
    """The open jobs in SciCat."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session = session
        self._jobs = jobs

    def read(self, types: Collection[str]) -> Iterator[ListedJob]:
        """Give all open jobs of these types, oldest first, with memory for one of them and the ids of all.

        An empty list is asked for once more after a fresh login: an account's groups are those of its login,
        and a token that ran out may be taken for anybody's.

        Raises:
            CatalogueForbidden: SciCat refuses the list.
            CatalogueUnavailable: The answer broke off; begin again.
        """
        if not types:
            return
        wanted, seen = tuple(types), set[str]()
        yield from self._all(wanted, seen)
        if not seen and self._session.renew():
            yield from self._all(wanted, seen)

    def visibility(self, witness: JobId | None) -> Visibility:
        """Say whether the account is shown other people's jobs; see `Catalogue.visibility`."""
        if witness is None:
            return Visibility.UNKNOWN
        with closing(self._found({"id": witness}, 1)) as found:
            entry = next(found, None)
        if isinstance(entry, Mapping) and entry.get("id") == witness:
            return Visibility.UNKNOWN if self._is_own(entry) else Visibility.VISIBLE
        try:
            self._jobs.read_raw(witness)
        except CatalogueJobUnknown:
            return Visibility.UNKNOWN
        except CatalogueForbidden:
            return Visibility.HIDDEN
        return Visibility.HIDDEN

    def _all(self, types: tuple[str, ...], seen: set[str]) -> Iterator[ListedJob]:
        limit = FIRST_LIMIT
        while (yield from self._listed(types, limit, seen)) >= limit:
            limit *= 10

    def _listed(self, types: tuple[str, ...], limit: int, seen: set[str]) -> Generator[ListedJob, None, int]:
        where = {"type": {"$in": types} if len(types) > 1 else types[0], "statusCode": {"$in": OPEN}}
        count = 0
        for entry in self._found(where, limit):
            count += 1
            listed = _listed_job(entry, types)
            if listed is not None and listed.id not in seen:
                seen.add(listed.id)
                yield listed
        return count

    def _found(self, where: Mapping[str, Any], limit: int) -> Generator[object, None, None]:
        with self._session.stream("GET", LIST, query=_query(where, limit)) as response:
            if response.is_success:
                yield from elements(self._session.pieces(response, f"GET {LIST}"), "item", "jobs")
                return
            answer = self._session.read(response, f"GET {LIST}")
        if not answer.route_missing:
            raise answer.error(READ_JOBS)
        with self._session.stream("GET", LIST_V3, query=_query_v3(where, limit)) as response:
            if not response.is_success:
                raise self._session.read(response, f"GET {LIST_V3}").error(READ_JOBS)
            yield from elements(self._session.pieces(response, f"GET {LIST_V3}"), "item", "jobs")

    def _is_own(self, entry: Mapping[str, Any]) -> bool:
        """Say whether the account may see this job without the right to see other people's jobs."""
        answer = self._session.ask("GET", WHO_AM_I)
        # SciCat says nothing at all to whom it does not know.
        groups = answer.json_object().get("currentGroups") if answer.ok and answer.content else None
        by_group = isinstance(groups, list) and entry.get("ownerGroup") in groups
        return by_group or owner_of(entry) in (None, self._session.account)


def _query(where: Mapping[str, Any], limit: int) -> dict[str, str]:
    criteria = {"where": where, "sort": {"createdAt": 1}, "fields": _FIELDS, "limits": {"limit": limit}}
    return {"filter": encoded(criteria).decode()}


def _query_v3(where: Mapping[str, Any], limit: int) -> dict[str, str]:
    """Give the query of v3, in which a list means any of its values; v3 has no choice of fields."""
    fields = {
        "jobStatusMessage" if key == "statusCode" else key: value["$in"]
        if isinstance(value, Mapping)
        else value
        for key, value in where.items()
    }
    limits = {"limit": limit, "order": "creationTime:asc"}
    return {"fields": encoded(fields).decode(), "limits": encoded(limits).decode()}


def _listed_job(entry: object, types: tuple[str, ...]) -> ListedJob | None:
    """Read an entry of the list; None for a job that was not asked for."""
    job = entry if isinstance(entry, Mapping) else {}
    status = job.get("statusCode", job.get("jobStatusMessage"))
    if job and (status not in OPEN or job.get("type") not in types):
        return None
    updated_by = optional_name(job.get("updatedBy"))
    try:
        short = parse_job({**{key: job.get(key) for key in _NAMING}, "ownerUser": owner_of(job)}, types)
    except JobMalformed as malformed:
        shown = job.get("id")
        job_id = JobId(cleaned(shown) if isinstance(shown, str) else "")
        return ListedJob(job_id, str(status or ""), updated_by, None, malformed.failure())
    return ListedJob(short.id, str(status), updated_by, short)
