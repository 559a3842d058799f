"""Routes of jobs: create (with the operator's ``url`` action), read, list, change, delete."""

import copy
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from stand_ins.scicat.access import EVERYBODY, Access
from stand_ins.scicat.accounts import Account
from stand_ins.scicat.answers import (
    Answer,
    JsonObject,
    application_refusal,
    forbidden_resource,
    framework_refusal,
    no_such_route,
)
from stand_ins.scicat.call import Call
from stand_ins.scicat.filters import (
    check_job_filter,
    check_job_limit,
    limits_of,
    matching,
    project,
    sort_jobs,
)
from stand_ins.scicat.job_checks import (
    check_create_body,
    check_datasets_exist,
    check_retrievable,
    check_rights_on_datasets,
    check_update_body,
    owner_of,
    unauthorized_job,
)
from stand_ins.scicat.job_lists import check_dataset_list
from stand_ins.scicat.job_shapes import (
    create_request_from_v3,
    filter_from_v3,
    group_of_datasets,
    new_job,
    show_job,
    update_from_v3,
)
from stand_ins.scicat.lifecycle import merge_patch
from stand_ins.scicat.routing import Handler, Route
from stand_ins.scicat.store import Store
from stand_ins.scicat.url_action import JobContext, UrlAction


@dataclass(frozen=True)
class JobType:
    """One entry of the operator's job configuration.

    Attributes:
        create_auth: who may create such a job: ``#all``, ``#datasetAccess`` (who may see all its datasets) or
            ``#datasetPublic`` (everybody, also visitors, where all its datasets are published).
        validates_retrievable: whether a ``validate`` action asks that all datasets be retrievable.
        update_auth: who may change such a job: user names, ``@group`` or ``#all``.
        create_action: runs after a creation was stored.
        update_action: runs after a change was stored; its failure does not undo the change.
        status_codes: the only ones that a change may set; None allows any text.
    """

    name: str = "retrieve"
    create_auth: str = "#datasetAccess"
    validates_retrievable: bool = True
    update_auth: tuple[str, ...] = ("@archivemanager",)
    create_action: UrlAction | None = None
    update_action: UrlAction | None = None
    status_codes: frozenset[str] | None = None

    @property
    def lets_visitors_create(self) -> bool:
        """Whether somebody who is not logged in may create such a job, if its datasets allow it."""
        return self.create_auth in (EVERYBODY, "#datasetPublic")

    def lets_update(self, who: Account) -> bool:
        """Tell whether an account is named by ``update_auth``."""
        names = {who.username, EVERYBODY, *(f"@{group}" for group in who.groups)}
        return not names.isdisjoint(self.update_auth)


class JobRoutes:
    """Routes below ``/api/v3/jobs`` and ``/api/v4/jobs``.

    Args:
        store: the records.
        access: the rights.
        job_types: the operator's job configuration.
        config_version: its version, as new jobs show it.
        user_named: finds an account by its name.

    Attributes:
        types: the job configuration by type; may be changed while running.
        offered_in_v4: False makes the routes of v4 unknown (404), as on an older backend.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        job_types: Iterable[JobType],
        config_version: str,
        user_named: Callable[[str], Account | None],
    ) -> None:
        self.types: dict[str, JobType] = {one.name: one for one in job_types}
        self.offered_in_v4 = True
        self._store = store
        self._access = access
        self._config_version = config_version
        self._user_named = user_named

    def routes(self) -> list[Route]:
        """Give the routes."""
        routes = (
            ("POST", "{version}/jobs", self.create),
            ("GET", "{version}/jobs", self.find),
            ("GET", "v3/jobs/fullquery", self.find_by_fields),
            ("GET", "v4/jobs/fullquery", self.find),
            ("GET", "{version}/jobs/{id}", self.read),
            ("PATCH", "{version}/jobs/{id}", self.change),
            ("DELETE", "{version}/jobs/{id}", self.delete),
        )
        return [Route(method, pattern, self._where_offered(handler)) for method, pattern, handler in routes]

    async def create(self, call: Call) -> Answer:
        """Store a job, then run its action: 201, or the error of the action with the job stored."""
        who = call.account
        self._require_creator(who)
        body = call.payload
        if call.version == "v3":
            body = create_request_from_v3(
                body, who, lambda user, listed: self._owner_group(user, listed, who)
            )
        check_create_body(body)
        job_type = self.types.get(body["type"])
        if job_type is None:
            raise application_refusal(400, f"Invalid job type: {body['type']}")
        wanted = check_dataset_list(body["jobParams"], self._store, self._access.release)
        owner = owner_of(body, who, self._access)
        check_rights_on_datasets(wanted, who, self._access, self._store)
        if who is None and not job_type.lets_visitors_create:
            raise unauthorized_job()
        if job_type.validates_retrievable:
            check_retrievable(wanted, self._store)
        told = {"id": str(uuid.uuid4()), "type": body["type"], "jobParams": body["jobParams"], **owner}
        job = new_job(self._store, told, who, self._config_version)
        self._store.jobs[job["id"]] = job
        # The user is shown the job as it was stored, even if the action's target has changed it meanwhile.
        stored = copy.deepcopy(job)
        await self._act(job_type.create_action, stored, body)
        return Answer(201, show_job(stored, call.version))

    async def read(self, call: Call) -> Answer:
        """Give one job to its owner, the members of its group and the privileged."""
        if call.account is None:
            raise forbidden_resource()
        job = self._job(call)
        if not self._may_read(call.account, job):
            raise framework_refusal(403, "Unauthorized to get this job.")
        return Answer(200, show_job(job, call.version))

    async def find(self, call: Call) -> Answer:
        """List jobs as ``filter`` says."""
        if call.account is None:
            raise forbidden_resource()
        given = call.filter()
        check_job_filter(given, call.version)
        return self._found(call.account, given, call.version)

    async def find_by_fields(self, call: Call) -> Answer:
        """List jobs as v3's ``fields`` and ``limits`` say."""
        if call.account is None:
            raise forbidden_resource()
        given = filter_from_v3(call.json_argument("fields"), call.json_argument("limits"))
        return self._found(call.account, given, call.version)

    def _require_creator(self, who: Account | None) -> None:
        """Refuse who may create no job of any type."""
        visitors = who is not None or any(one.lets_visitors_create for one in self.types.values())
        if not visitors or self._access.may_create_no_job(who):
            raise forbidden_resource()

    def _found(self, who: Account, given: JsonObject, version: str) -> Answer:
        """List the jobs that the caller may read: nobody else's are mentioned, not even by an error."""
        visible = (job for job in self._store.jobs.values() if self._may_read(who, job))
        check_job_limit(given)
        release = self._access.release
        matched = matching(visible, given.get("where"))
        found = sort_jobs(matched, given, by_limits=release.sorts_jobs_by_limits)
        limit, skip = limits_of(given, release.jobs_limit)
        # SciCat skips inside what the limit has left: pages beyond the first come out short or empty.
        page = [self._with_datasets(job, given) for job in found[: limit or release.jobs_limit][skip:]]
        return Answer(200, [show_job(project(job, given.get("fields")), version) for job in page])

    async def change(self, call: Call) -> Answer:
        """Set a job's status, and its result if sent; exactly merge-patch merges the result."""
        who = call.account
        if who is None or not self._may_update_some(who):
            raise forbidden_resource()
        if call.version == "v4":
            check_update_body(call.payload)
        job = self._job(call)
        body = call.payload if call.version == "v4" else update_from_v3(call.payload, job)
        check_update_body(body)
        check_datasets_exist(job, self._store)
        job_type = self.types.get(job["type"], JobType(job["type"]))
        if not (self._access.may_update_every_job(who) or job_type.lets_update(who)):
            raise framework_refusal(403, "Unauthorized to update this job.")
        if job_type.status_codes is not None and body["statusCode"] not in job_type.status_codes:
            raise application_refusal(400, "Invalid request. Invalid value for 'statusCode'")
        self._apply(call, job, body, who)
        shown = copy.deepcopy(show_job(job, call.version))
        await self._act(job_type.update_action, copy.deepcopy(job), body)
        return Answer(200, shown)

    async def delete(self, call: Call) -> Answer:
        """Delete a job and give it as it was."""
        who = call.account
        if not self._access.may_delete_jobs(who):
            raise forbidden_resource()
        job = self._store.jobs.pop(call.params["id"], None)
        if job is None:
            raise application_refusal(400, f"Job id {call.params['id']} doesn't exist.")
        return Answer(200, show_job(job, call.version))

    def _where_offered(self, handler: Handler) -> Handler:
        async def answer(call: Call) -> Answer:
            if call.version == "v4" and not self.offered_in_v4:
                raise no_such_route(call.method, call.target)
            return await handler(call)

        return answer

    def _apply(self, call: Call, job: JsonObject, body: JsonObject, who: Account) -> None:
        job["statusCode"] = body["statusCode"]
        job["statusMessage"] = body["statusMessage"]
        if "jobResultObject" in body:
            result = body["jobResultObject"]
            job["jobResultObject"] = merge_patch(job["jobResultObject"], result) if call.merges else result
        if call.version == "v3" and "executionTime" in call.payload:
            job["jobParams"] = {**job["jobParams"], "executionTime": call.payload["executionTime"]}
            # Observed, and surely not meant: an execution time without a result empties the result.
            job["jobResultObject"] = body.get("jobResultObject", {})
        job["updatedBy"] = who.username
        job["updatedAt"] = self._store.clock.now()

    async def _act(self, action: UrlAction | None, job: JsonObject, request: Mapping[str, object]) -> None:
        if action is not None:
            await action.perform(JobContext(job, self._datasets_of(job), dict(request)))

    def _job(self, call: Call) -> JsonObject:
        job = self._store.jobs.get(call.params["id"])
        if job is None:
            raise application_refusal(400, "Invalid job id.")
        return job

    def _may_read(self, who: Account, job: JsonObject) -> bool:
        if self._access.may_see_every_job(who) or job.get("ownerUser") == who.username:
            return True
        return job.get("ownerGroup") in who.groups

    def _may_update_some(self, who: Account) -> bool:
        if self._access.may_update_no_job(who):
            return False
        named = any(one.lets_update(who) for one in self.types.values())
        return named or self._access.may_update_every_job(who)

    def _owner_group(self, user: str | None, wanted: object, who: Account | None) -> str | None:
        """Name the owner group of a v3 job that names none."""
        listed = [one for one in wanted if isinstance(one, dict)] if isinstance(wanted, list) else []
        datasets = [self._store.datasets.get(str(one.get("pid")), {}) for one in listed]
        if self._access.release.v3_job_has_group_of_dataset:
            owner = self._user_named(user) if user else None
            return None if owner is None else group_of_datasets(owner, datasets)
        if who is None or self._access.is_admin(who):
            return None
        group = datasets[0].get("ownerGroup") if datasets else None
        others = (one for one in who.groups if one != "globalaccess")
        return group if group in who.groups else next(others, None)

    def _datasets_of(self, job: JsonObject) -> list[JsonObject]:
        pids = (one["pid"] for one in job["jobParams"].get("datasetList", ()))
        return [self._store.datasets[pid] for pid in pids if pid in self._store.datasets]

    def _with_datasets(self, job: JsonObject, given: JsonObject) -> JsonObject:
        return (
            {**job, "datasets": self._datasets_of(job)} if "datasets" in (given.get("include") or ()) else job
        )
