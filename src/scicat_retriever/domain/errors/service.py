"""The flow as a whole, and the parts of the service itself."""

from __future__ import annotations

from scicat_retriever.domain.errors.base import Actor, Cause, RetrieverError


class FlowError(RetrieverError):
    """The flow as a whole came to an end."""


class JobDeadlinePassed(FlowError):
    """The job was not finished in the time allowed."""

    code = "job_deadline_passed"


class JobCancelled(FlowError):
    """Somebody cancelled the job."""

    code, cause, who = "job_cancelled", Cause.USER, Actor.USER


class InternalError(FlowError):
    """A fault of the service itself; the log has the details."""

    code = "internal_error"


class ServiceError(RetrieverError):
    """A part of the service itself is missing."""


class EngineUnavailable(ServiceError):
    """The workflow engine does not answer."""

    code, retryable = "engine_unavailable", True
    limits = ("flow.job_timeout",)


class EngineNotOurs(ServiceError):
    """The workflow engine, or this task queue of it, is used by a service with another ledger."""

    code = "engine_not_ours"


class DownloadsBusy(ServiceError):
    """Too many downloads are running or waiting for another one now; whoever asked may try again later."""

    code, who = "downloads_busy", Actor.SYSTEM


class LedgerUnavailable(ServiceError):
    """The ledger's database does not answer."""

    code, retryable = "ledger_unavailable", True
    limits = ("flow.job_timeout",)


class BrokerUnavailable(ServiceError):
    """The message broker does not answer."""

    code, retryable = "broker_unavailable", True


class BrokerRefused(ServiceError):
    """The message broker refuses the account, the virtual host, or the queues as they are set."""

    code = "broker_refused"


class TransitionIllegal(ServiceError):
    """A change of state was asked for that is not legal."""

    code = "transition_illegal"


class WorkerStopping(ServiceError):
    """The worker was asked to stop in the middle of a step, which another will repeat."""

    code, who, retryable = "worker_stopping", Actor.SYSTEM, True
    limits = ("flow.job_timeout",)
