"""Who may do what: the group settings of a SciCat backend and the decisions that follow from them.

Each profile is one of the six configurations that were observed. Which message a refusal carries is as
observed too, even where the reason is not obvious.
"""

from dataclasses import dataclass
from types import MappingProxyType

from scicat_retriever.testing.scicat.accounts import Account
from scicat_retriever.testing.scicat.answers import JsonObject, forbidden_resource, unauthorized_access

EVERYBODY = "#all"


@dataclass(frozen=True)
class AccessGroups:
    """Group settings of the backend, each a set of group names (``"#all"`` = everybody who is logged in)."""

    admin: frozenset[str] = frozenset({"admin"})
    create_dataset: frozenset[str] = frozenset({"ingestor"})
    delete: frozenset[str] = frozenset({"archivemanager"})
    lifecycle: frozenset[str] = frozenset({"archivemanager"})
    delete_job: frozenset[str] = frozenset({"archivemanager"})
    job_privileged: frozenset[str] = frozenset()


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


@dataclass(frozen=True)
class Access:
    """Decides about rights; ``None`` as the account means an anonymous caller."""

    groups: AccessGroups

    def is_admin(self, who: Account | None) -> bool:
        """Tell whether the account may do everything."""
        return _in(who, self.groups.admin)

    def is_job_privileged(self, who: Account | None) -> bool:
        """Tell whether the account may see and change every job."""
        return self.is_admin(who) or _in(who, self.groups.job_privileged)

    def may_delete(self, who: Account | None) -> bool:
        """Tell whether the account is in the delete groups, which also opens ``GET /datablocks``."""
        return self.is_admin(who) or _in(who, self.groups.delete)

    def require_dataset_creator(self, who: Account | None) -> None:
        """Refuse an account that may not register datasets and their datablocks."""
        if not (self.is_admin(who) or _in(who, self.groups.create_dataset)):
            raise forbidden_resource()

    def owns(self, who: Account | None, record: JsonObject) -> bool:
        """Tell whether the account is an admin or in the owner group of a dataset or datablock."""
        return self.is_admin(who) or (who is not None and record.get("ownerGroup") in who.groups)

    def may_see(self, who: Account | None, record: JsonObject) -> bool:
        """Tell whether ownership or an access group opens this dataset or datablock."""
        shared = who is not None and not set(who.groups).isdisjoint(record.get("accessGroups") or ())
        return shared or self.owns(who, record)

    def may_read_dataset(self, who: Account | None, dataset: JsonObject) -> bool:
        """Tell whether the account may read a dataset: also the lifecycle and the creating groups may."""
        return (
            self.may_see(who, dataset)
            or _in(who, self.groups.lifecycle)
            or _in(who, self.groups.create_dataset - {EVERYBODY})
        )

    def require_lifecycle_writer(self, who: Account | None, dataset: JsonObject) -> None:
        """Refuse an account that may not change this dataset's lifecycle."""
        if self.owns(who, dataset) or _in(who, self.groups.lifecycle):
            return
        if who is None or _in(who, self.groups.delete):
            raise forbidden_resource()
        raise unauthorized_access()


def _in(who: Account | None, groups: frozenset[str]) -> bool:
    return who is not None and (EVERYBODY in groups or not groups.isdisjoint(who.groups))
