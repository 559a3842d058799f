"""A stand-in for SciCat that answers as a chosen release was observed to, its surprises included.

It keeps everything in memory, records every request, runs the ``url`` action of a job configuration, loses
concurrent lifecycle updates as SciCat does, and can be told to fail. ``tests/contracts/scicat`` holds it to
recorded exchanges.
"""

from stand_ins.scicat.access import PROFILES, AccessGroups
from stand_ins.scicat.accounts import Account, account, default_accounts
from stand_ins.scicat.app import ScicatStandIn
from stand_ins.scicat.faults import Fault, Faults
from stand_ins.scicat.jobs import JobType
from stand_ins.scicat.release import NEWEST_TAGGED, RELEASES, Release
from stand_ins.scicat.request_log import Recorded, RequestLog
from stand_ins.scicat.url_action import UrlAction, archival_service
from stand_ins.scicat.user_actions import log_in, submit_retrieve_job

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
