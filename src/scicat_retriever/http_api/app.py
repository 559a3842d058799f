"""The HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from scicat_retriever import __version__
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.http_api import jobs, problems, readiness
from scicat_retriever.http_api.connections.limits import DOWNLOAD_WAIT, DOWNLOADS
from scicat_retriever.http_api.downloads import downloads
from scicat_retriever.http_api.downloads.journal import DownloadJournal
from scicat_retriever.http_api.downloads.slots import DownloadSlots
from scicat_retriever.http_api.downloads.uses import Uses
from scicat_retriever.http_api.framing import OneFraming
from scicat_retriever.http_api.intake_queue import IntakeQueue
from scicat_retriever.http_api.operators import (
    audit,
    links,
    overview,
    recalls,
    reports,
    staging,
    staging_control,
)
from scicat_retriever.http_api.paths import WithoutLastSlash
from scicat_retriever.http_api.retrievals import archives, lists
from scicat_retriever.http_api.retrievals import routes as retrievals
from scicat_retriever.http_api.service import Service
from scicat_retriever.pipeline.delivery.archives import ArchiveShelf
from scicat_retriever.pipeline.delivery.contents import sources
from scicat_retriever.pipeline.staging.early_checks import check_early

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Health(BaseModel):
    """The process answers. Whether jobs get done is told by their status."""

    status: str = "ok"
    version: str = __version__


@asynccontextmanager
async def _idle(_: FastAPI) -> AsyncIterator[None]:
    yield


def create_app(
    service: Service | None,
    lifespan: Lifespan = _idle,
    most_downloads: int = DOWNLOADS,
    download_wait: float = DOWNLOAD_WAIT,
) -> FastAPI:
    """Make the application.

    Args:
        service: The ports and settings of the routes; None makes an application that can only describe
            itself.
        lifespan: Runs beside the application.
        most_downloads: Downloads that are sent at once.
        download_wait: Seconds that a further download waits for its turn.
    """
    app = FastAPI(
        title="SciCat Retriever",
        version=__version__,
        description="Takes SciCat's retrieve jobs, says how far they are, and hands out what was retrieved.",
        lifespan=lifespan,
        # FastAPI's own pages load scripts from elsewhere, which many facilities cannot reach and none should
        # trust.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.slots = DownloadSlots(most_downloads, download_wait)
    app.state.uses = Uses()
    app.state.journal = None if service is None else DownloadJournal(service.ledger.downloads, service.clock)
    app.state.shelf = None if service is None else _shelf(service)
    app.state.intake = None if service is None else IntakeQueue(service.ledger.jobs)
    app.add_middleware(WithoutLastSlash)
    app.add_middleware(OneFraming)
    problems.install(app)
    app.include_router(readiness.router)
    app.include_router(jobs.router)
    app.include_router(links.router)
    app.include_router(audit.router)
    app.include_router(reports.router)
    app.include_router(overview.router)
    app.include_router(recalls.router)
    app.include_router(staging.router)
    app.include_router(staging_control.router)
    app.include_router(downloads.router)
    app.include_router(retrievals.router)
    app.include_router(archives.router)
    app.include_router(lists.router)
    app.include_router(lists.key_router)

    @app.get("/api/v1/health", tags=["service"], summary="Whether the process answers")
    async def health() -> Health:  # no function of a thread: it answers also while all of these are taken
        return Health()

    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _shelf(service: Service) -> ArchiveShelf:
    def early(keys: Collection[DatablockKey]) -> datetime | None:
        return check_early(keys, service.fixity_pace, service.sweep_interval, service)

    return ArchiveShelf(service.staging, lambda needed: sources(needed, service.ledger, early))


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        document["components"]["schemas"] |= {
            "DatasetList": jobs.DATASET_LIST_SCHEMA,
            **{
                model.__name__: model.model_json_schema()
                for model in (
                    problems.Problem,
                    jobs.RetryRequest,
                    reports.Which,
                    reports.Drop,
                    *staging_control.BODIES,
                )
            },
        }
        app.openapi_schema = document
    return app.openapi_schema
