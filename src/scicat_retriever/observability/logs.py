"""Logs: one line for each event, on standard error; in JSON unless a terminal shows it."""

from __future__ import annotations

import logging
import sys

import structlog

from scicat_retriever.observability.kinds import KindLimit


def configure(level: str, kinds: KindLimit | None = None) -> None:
    """Set the process's logs up.

    Args:
        level: The least level that is written: `debug`, `info`, `warning` or `error`.
        kinds: Limits the rate of lines of one kind; None for no limit.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*([] if kinds is None else [kinds]), *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    if kinds is not None:
        handler.addFilter(kinds)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(least)
    # These two log each request; the service logs what it does itself.
    for noisy in ("httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel(max(least, logging.WARNING))
    # It tells of its own parts at each start; what it migrates it tells under another name.
    logging.getLogger("alembic.runtime.plugins").setLevel(max(least, logging.WARNING))
    # At debug these log the headers of each request: signatures and tokens.
    for telling in ("boto3", "botocore", "urllib3"):
        logging.getLogger(telling).setLevel(max(least, logging.INFO))
    # These log each lost connection with its traceback, besides raising it.
    for noisy in ("aio_pika", "aiormq"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
