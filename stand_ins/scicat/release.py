"""The releases of SciCat that the stand-in can answer as, and in which points they differ.

The version that SciCat calls itself names no release (its package.json said the same from v4.10 to v4.28), so each
is named by its tag, or by ``master`` and the day of the commit. Each point was recorded or observed; the routes ask
for the point, never for the name of the release.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType


@dataclass(frozen=True)
class Release:
    """One release, by what it does; the defaults are those of v4.27.

    Attributes:
        name: as ``--release`` takes it.
        observed: which build was called, for people.
        expired_token_is_refused: a well signed token that ran out is 401 ``SESSION_EXPIRED`` on every route; else
            its bearer is an anonymous visitor.
        splits_group_settings: group settings are lists; else one text, in which every part of a name matches.
        identical_lifecycle_is_conflict: a lifecycle change that changes nothing is 409.
        job_list_is_unprocessable: bad lists, unknown pids and files are 422, wrong owners 403; else all 400.
        knows_files_of_every_dataset: a job may name files in several datasets; else only those of one are known.
        v3_job_has_group_of_dataset: a v3 job gets the owner group of its first unpublished dataset, whether or not
            the user is in it; else a group of the user.
        job_creators_see_jobs: ``CREATE_JOB_PRIVILEGED_GROUPS`` lists all jobs.
        job_creation_excludes_update: who may create privileged jobs may not update any, whatever else is set.
        jobs_limit: how many jobs a list has when it names no limit; None for all.
        sorts_jobs_by_limits: ``limits.sort`` orders jobs and a ``sort`` beside it does not; else the reverse.
        datablock_by_id: ``GET /datablocks/{id}`` gives that datablock; else always the first.
        datablocks_for_delete_groups: ``DELETE_GROUPS`` see all datablocks; else their own alone.
        include_for_lifecycle_groups: ``UPDATE_DATASET_LIFECYCLE_GROUPS`` see all datablocks of a dataset by
            ``include``.
        anonymous_reads: visitors may ask for v4 datasets and for datablocks, and find what is public; else 403.
        reset_sizes: sums of a dataset that a v4 change of it sets to 0.
        reset_sizes_v3: sums of a dataset that a v3 change of it sets to 0.
        precondition_names_dataset: ``If-Unmodified-Since`` is decided as an exact moment, and its refusal names
            the dataset.
        checks_owner_group_is_given: a new dataset's empty ``ownerGroup`` is refused.
        written_has_id: answers to v4 writes of datasets have ``id`` beside ``_id``.
        sub_ids_are_buffers: ``_id`` of a dataset's parts is ``{"buffer": {"type": "Buffer", "data": [...]}}``.
    """

    name: str
    observed: str
    expired_token_is_refused: bool = False
    splits_group_settings: bool = False
    identical_lifecycle_is_conflict: bool = False
    job_list_is_unprocessable: bool = False
    knows_files_of_every_dataset: bool = False
    v3_job_has_group_of_dataset: bool = False
    job_creators_see_jobs: bool = False
    job_creation_excludes_update: bool = False
    jobs_limit: int | None = None
    sorts_jobs_by_limits: bool = False
    datablock_by_id: bool = False
    datablocks_for_delete_groups: bool = True
    include_for_lifecycle_groups: bool = False
    anonymous_reads: bool = False
    reset_sizes: tuple[str, ...] = ("packedSize",)
    reset_sizes_v3: tuple[str, ...] = ("packedSize",)
    precondition_names_dataset: bool = False
    checks_owner_group_is_given: bool = False
    written_has_id: bool = True
    sub_ids_are_buffers: bool = False


_V4_27 = Release("4.27", "a build of 2026-02 after tag v4.27.0")
_V5_2_1 = Release(
    "5.2.1",
    "tag v5.2.1",
    expired_token_is_refused=True,
    splits_group_settings=True,
    job_list_is_unprocessable=True,
    knows_files_of_every_dataset=True,
    v3_job_has_group_of_dataset=True,
    job_creators_see_jobs=True,
    job_creation_excludes_update=True,
    jobs_limit=100,
    sorts_jobs_by_limits=True,
    datablock_by_id=True,
    reset_sizes=("size", "packedSize", "numberOfFiles"),
    reset_sizes_v3=(),
    precondition_names_dataset=True,
    checks_owner_group_is_given=True,
)
_MASTER = replace(
    _V5_2_1,
    name="master",
    observed="master of 2026-08-20",
    job_creation_excludes_update=False,
    datablocks_for_delete_groups=False,
    include_for_lifecycle_groups=True,
    anonymous_reads=True,
    reset_sizes=(),
    written_has_id=False,
    sub_ids_are_buffers=True,
)
_V4_23 = replace(_V4_27, name="4.23", observed="tag v4.23.0, in parts", identical_lifecycle_is_conflict=True)

RELEASES: Mapping[str, Release] = MappingProxyType(
    {one.name: one for one in (_V4_23, _V4_27, _V5_2_1, _MASTER)}
)
"""The releases by name, oldest first."""

NEWEST_TAGGED = _V5_2_1
"""The newest release with a tag: what the stand-in is unless told otherwise."""
