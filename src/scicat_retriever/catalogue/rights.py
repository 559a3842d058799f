"""Settings of SciCat's backend that give the service's account a missing right, in words for who sets them.

Observed from v4.23 to the master of 2026-08. The names are those of the backend's environment.
"""

from __future__ import annotations

READ_DATASETS = "Put a group of the account into UPDATE_DATASET_LIFECYCLE_GROUPS"
WRITE_LIFECYCLE = READ_DATASETS
WRITE_DATASETS = (
    "This SciCat has no lifecycle route of its own: changing the dataset takes a group of the account in ADMIN_GROUPS, or "
    "the dataset's owner group with CREATE_DATASET_GROUPS"
)
READ_JOBS = "Put a group of the account into UPDATE_JOB_PRIVILEGED_GROUPS"
UPDATE_JOBS = (
    f"{READ_JOBS} or its name into update.auth of the job type; up to v5.2.1 no group of it may be in "
    "CREATE_JOB_PRIVILEGED_GROUPS, which takes the right away"
)
SEE_DATABLOCKS = (
    "Put a group of the account into DELETE_GROUPS (SciCat up to v5.2.1) or UPDATE_DATASET_LIFECYCLE_GROUPS or ADMIN_GROUPS "
    "(later)"
)
