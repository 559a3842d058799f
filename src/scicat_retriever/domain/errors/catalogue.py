"""SciCat did not do what it was asked, or what it says cannot be worked with."""

from __future__ import annotations

from scicat_retriever.domain.errors.base import Actor, Cause, RetrieverError


class CatalogueError(RetrieverError):
    """SciCat did not do what it was asked."""


class CatalogueUnavailable(CatalogueError):
    """SciCat cannot be reached, or answers 5xx or 429."""

    code, who, retryable = "catalogue_unavailable", Actor.SYSTEM, True
    limits = ("flow.catalogue_timeout", "flow.report_timeout")


class CatalogueTimedOut(CatalogueUnavailable):
    """SciCat paused beyond `catalogue.request_timeout`, or answered beyond `catalogue.answer_timeout`."""

    code = "catalogue_timed_out"


class CatalogueLoginFailed(CatalogueError):
    """SciCat refuses the service's account or token."""

    code, retryable = "catalogue_login_failed", True
    limits = ("flow.catalogue_timeout", "flow.report_timeout")


class CatalogueForbidden(CatalogueError):
    """SciCat answers 403 after a fresh login: the service's account lacks a right."""

    code, retryable = "catalogue_forbidden", True
    limits = ("flow.report_timeout",)


class CatalogueRefused(CatalogueError):
    """SciCat answers 4xx to a request of ours: the same request will be refused again."""

    code = "catalogue_refused"


class CatalogueAnswerUnreadable(CatalogueError):
    """SciCat's answer has not the shape that its interface describes; a proxy on the way may have made it."""

    code, retryable = "catalogue_answer_unreadable", True
    limits = ("flow.catalogue_timeout", "flow.report_timeout")


class CatalogueUpdateLost(CatalogueError):
    """SciCat accepted an update that cannot be read back; another writer may have undone it."""

    code, who, retryable = "catalogue_update_lost", Actor.SYSTEM, True
    limits = ("flow.report_timeout",)


class CatalogueGone(CatalogueError):
    """The job or dataset that SciCat is asked about, or should be told of, was deleted there.

    So SciCat can never be told.
    """


class CatalogueJobUnknown(CatalogueGone):
    """SciCat knows no job of that id."""

    code, cause, who = "catalogue_job_unknown", Cause.USER, Actor.USER


class CatalogueJobUnclosable(CatalogueGone):
    """SciCat cannot update the job any more, since a dataset of it was deleted (404)."""

    code = "catalogue_job_unclosable"


class DatasetUnknown(CatalogueGone):
    """SciCat knows no dataset of that pid."""

    code, cause, who = "dataset_unknown", Cause.USER, Actor.USER


class DatablocksMissing(CatalogueError):
    """The catalogue has no datablocks of the dataset, or fewer than it counts or declares itself."""

    code, cause = "datablocks_missing", Cause.DATA


class DatablocksInvisible(CatalogueError):
    """Nothing proves that the catalogue shows the account all datablocks: the account may lack the right."""

    code = "datablocks_invisible"


class CatalogueEntryInvalid(CatalogueError):
    """A dataset's or datablock's entry in the catalogue cannot be worked with."""

    code, cause = "catalogue_entry_invalid", Cause.DATA
