"""A stand-in for SciCat that answers as a chosen release was observed to, its surprises included.

It keeps everything in memory, records every request, runs the ``url`` action of a job configuration, loses
concurrent lifecycle updates as SciCat does, and can be told to fail. ``tests/contracts/scicat`` holds it to
recorded exchanges.
"""

from scicat_retriever.testing.scicat.access import PROFILES, AccessGroups
from scicat_retriever.testing.scicat.accounts import Account, account, default_accounts
from scicat_retriever.testing.scicat.app import ScicatStandIn
from scicat_retriever.testing.scicat.faults import Fault, Faults
from scicat_retriever.testing.scicat.jobs import JobType
from scicat_retriever.testing.scicat.release import NEWEST_TAGGED, RELEASES, Release
from scicat_retriever.testing.scicat.request_log import Recorded, RequestLog
from scicat_retriever.testing.scicat.url_action import UrlAction, archival_service
from scicat_retriever.testing.scicat.user_actions import log_in, submit_retrieve_job

__all__ = [
    "NEWEST_TAGGED",
    "PROFILES",
    "RELEASES",
    "AccessGroups",
    "Account",
    "Fault",
    "Faults",
    "JobType",
    "Recorded",
    "Release",
    "RequestLog",
    "ScicatStandIn",
    "UrlAction",
    "account",
    "archival_service",
    "default_accounts",
    "log_in",
    "submit_retrieve_job",
]
