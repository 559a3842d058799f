"""The reference page of all errors."""

from __future__ import annotations

from scicat_retriever.domain.errors import RetrieverError, concrete_errors
from scicat_retriever.http_api.problems import HTTP_STATUS


def reference() -> str:
    """Write the reference page of all errors, in Markdown."""
    lines = [
        "# Errors",
        "",
        "Each error has a stable code. It stands in the `errors` of a job's result, in a dataset's",
        "`retrieveReturnMessage`, in a job's status, and at the end of the `type` of a problem detail.",
        "",
        "- **cause**: `user` and `data` are told to SciCat as `datasetRetrievalFailed`, `system` as",
        "  `scheduleRetrieveJobFailed`.",
        "- **who**: who can do something about it.",
        "- **retry**: whether the same step may succeed when tried again later; if so, the service does that itself.",
        "- **until**: the [settings](settings.md) that end the repetitions, the usual one first. Which of them it is",
        "  depends on the step that met the error; `flow.job_timeout` ends the job in any case. An attempt that ends",
        "  with the worker, or since the ledger does not answer, is not counted.",
        "- **HTTP**: the status, where a request can meet the error.",
        "",
        "| code | class | cause | who | retry | until | HTTP | meaning |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *map(_row, concrete_errors())]) + "\n"


def _row(error: type[RetrieverError]) -> str:
    meaning = " ".join((error.__doc__ or "").split("\n\n")[0].split()).replace("|", "\\|")
    cells = (
        f"`{error.code}`",
        error.__name__,
        error.cause,
        error.who,
        "yes" if error.retryable else "no",
        ", ".join(f"`{setting}`" for setting in error.limits) or ("it is over" if error.retryable else ""),
        str(HTTP_STATUS.get(error, "")),
        meaning,
    )
    return f"| {' | '.join(cells)} |"
