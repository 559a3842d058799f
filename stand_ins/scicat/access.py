"""Who may do what: the group settings of a SciCat backend and the decisions that follow from them.

Each profile is one of the six configurations that were observed. Which message a refusal carries is as
observed too: "Forbidden resource" where the account may never call the route, "Unauthorized access" where it may not
touch this one record.
"""

from dataclasses import dataclass
from types import MappingProxyType

from stand_ins.scicat.accounts import Account
from stand_ins.scicat.answers import JsonObject, forbidden_resource, unauthorized_access
from stand_ins.scicat.release import Release

EVERYBODY = "#all"


@dataclass(frozen=True)
class AccessGroups:
    """Group settings of the backend, each a set of group names (``"#all"`` = everybody who is logged in).

    Attributes:
        admin: ``ADMIN_GROUPS``.
        create_dataset: ``CREATE_DATASET_GROUPS``.
        delete: ``DELETE_GROUPS``.
        lifecycle: ``UPDATE_DATASET_LIFECYCLE_GROUPS``.
        delete_job: ``DELETE_JOB_GROUPS``.
        job_privileged: ``UPDATE_JOB_PRIVILEGED_GROUPS``.
        create_job: ``CREATE_JOB_PRIVILEGED_GROUPS``.
    """

    admin: frozenset[str] = frozenset({"admin"})
    create_dataset: frozenset[str] = frozenset({"ingestor"})
    delete: frozenset[str] = frozenset({"archivemanager"})
    lifecycle: frozenset[str] = frozenset({"archivemanager"})
    delete_job: frozenset[str] = frozenset({"archivemanager"})
    job_privileged: frozenset[str] = frozenset()
    create_job: frozenset[str] = frozenset()


_NONE: frozenset[str] = frozenset()

PROFILES = MappingProxyType(
    {
        "lab_default": AccessGroups(),
        "job_privileged": AccessGroups(job_privileged=frozenset({"archivemanager"})),
        "everybody_creates_datasets": AccessGroups(create_dataset=frozenset({EVERYBODY})),
        "no_delete_groups": AccessGroups(delete=_NONE),
        "archive_manager_is_admin": AccessGroups(admin=frozenset({"admin", "archivemanager"})),
        "no_lifecycle_groups": AccessGroups(lifecycle=_NONE),
    }
)
"""The observed configurations by name. ``job_privileged`` is what a retrieval service needs to list jobs."""


@dataclass
class Access:
    """Decides about rights; ``None`` as the account means an anonymous caller.

    Attributes:
        groups: the backend's group settings.
        release: which SciCat decides.
    """

    groups: AccessGroups
    release: Release

    def is_admin(self, who: Account | None) -> bool:
        """Tell whether the account may do everything."""
        return self._in(who, self.groups.admin)

    def may_see_every_job(self, who: Account | None) -> bool:
        """Tell whether the account may list and read every job."""
        if self.release.job_creators_see_jobs and self._in(who, self.groups.create_job):
            return True
        return self.is_admin(who) or self._in(who, self.groups.job_privileged)

    def may_update_every_job(self, who: Account | None) -> bool:
        """Tell whether the account may change every job, of whatever type."""
        return self.is_admin(who) or self._in(who, self.groups.job_privileged)

    def may_update_no_job(self, who: Account | None) -> bool:
        """Tell whether the right to create jobs takes from the account the right to change any."""
        excluded = self.release.job_creation_excludes_update and self._in(who, self.groups.create_job)
        return excluded and not self.is_admin(who)

    def may_create_no_job(self, who: Account | None) -> bool:
        """Tell whether the right to change every job takes from the account the right to create one."""
        updates = self._in(who, self.groups.job_privileged)
        return updates and not self.is_admin(who) and not self._in(who, self.groups.create_job)

    def may_delete_jobs(self, who: Account | None) -> bool:
        """Tell whether the account may delete jobs."""
        return self.is_admin(who) or self._in(who, self.groups.delete_job)

    def may_delete(self, who: Account | None) -> bool:
        """Tell whether the account may delete datasets and read any one datablock."""
        return self.is_admin(who) or self._in(who, self.groups.delete)

    def may_list_every_datablock(self, who: Account | None) -> bool:
        """Tell whether ``GET /datablocks`` shows the account all of them."""
        return self.is_admin(who) or (self.release.datablocks_for_delete_groups and self.may_delete(who))

    def may_include_every_datablock(self, who: Account | None) -> bool:
        """Tell whether v4's ``include`` shows the account all datablocks of a dataset that it may read."""
        lifecycle = self.release.include_for_lifecycle_groups and self._in(who, self.groups.lifecycle)
        return self.is_admin(who) or lifecycle

    def require_dataset_creator(self, who: Account | None) -> None:
        """Refuse an account that may not register datasets and their datablocks."""
        if not (self.is_admin(who) or self._in(who, self.groups.create_dataset)):
            raise forbidden_resource()

    def owns(self, who: Account | None, record: JsonObject) -> bool:
        """Tell whether the account is an admin or in the owner group of a dataset or datablock."""
        return self.is_admin(who) or (who is not None and record.get("ownerGroup") in who.groups)

    def may_see(self, who: Account | None, record: JsonObject) -> bool:
        """Tell whether ownership, an access group or publication opens this dataset or datablock."""
        shared = who is not None and not set(who.groups).isdisjoint(record.get("accessGroups") or ())
        return shared or self.owns(who, record) or record.get("isPublished") is True

    def may_read_dataset(self, who: Account | None, dataset: JsonObject) -> bool:
        """Tell whether the account may read a dataset: also the lifecycle groups may."""
        return self.may_see(who, dataset) or self._in(who, self.groups.lifecycle)

    def may_find_dataset(self, who: Account | None, dataset: JsonObject) -> bool:
        """Tell whether a list shows the account a dataset: also where it was shared with its address."""
        invited = who is not None and who.email in (dataset.get("sharedWith") or ())
        return invited or self.may_read_dataset(who, dataset)

    def require_lifecycle_writer(self, who: Account | None, dataset: JsonObject) -> None:
        """Refuse an account that may not change this dataset's lifecycle."""
        if self.is_admin(who) or self._in(who, self.groups.lifecycle):
            return
        # Owners may only if their group may also create datasets.
        if not self._in(who, self.groups.create_dataset):
            raise forbidden_resource()
        if not self.owns(who, dataset):
            raise unauthorized_access()

    def _in(self, who: Account | None, groups: frozenset[str]) -> bool:
        """Tell whether a group setting names one of the account's groups, or everybody."""
        if who is None:
            return False
        if EVERYBODY in groups or not groups.isdisjoint(who.groups):
            return True
        setting = ",".join(sorted(groups))
        return not self.release.splits_group_settings and any(group in setting for group in who.groups)
