"""The ports and settings of the routes, built once and kept in the application's state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fastapi import Depends, Request, Security, params
from starlette.requests import HTTPConnection

from scicat_retriever.http_api.auth import TokenGuard, bearer_scheme
from scicat_retriever.http_api.tokens import Scope
from scicat_retriever.pipeline.delivery.signature import ListSigner
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.cache_policy import CachePolicy
from scicat_retriever.pipeline.tools.links import LinkSigner
from scicat_retriever.pipeline.tools.toolbox import Clock
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import StagingArea


@dataclass(frozen=True, slots=True)
class Service:
    """The ports and settings that the routes need.

    Attributes:
        ledger: The ledger.
        staging: The staging area.
        links: Checks download links.
        signer: Signs manifests and lists of checksums; None where there is no key for that.
        guard: Checks tokens.
        job_types: SciCat job types that are carried out.
        stores: The names of the long-term stores, as the settings have them.
        max_body_bytes: The most bytes of a job that is accepted.
        clock: Gives the time, UTC and aware.
        wake: Called when a job was stored.
        cache: How staging is used as a cache.
        lifetime: How long a link lives.
        margin: How much longer a dataset is pinned than its links live.
        fixity_pace: How fast staged datablocks are read again.
        sweep_interval: How often a look begins that does so.
        check_staging: Has the ledger compared with the staging area soon.
        engine_trouble: Says what is wrong with the `engine`, and with the `worker`s; None for one that is
            well.
    """

    ledger: Ledger
    staging: StagingArea
    links: LinkSigner
    signer: ListSigner | None
    guard: TokenGuard
    job_types: Collection[str]
    stores: Sequence[str]
    max_body_bytes: int
    clock: Clock
    wake: Callable[[], None]
    cache: CachePolicy
    lifetime: timedelta
    margin: timedelta
    fixity_pace: FixityPace
    sweep_interval: timedelta
    check_staging: Callable[[], Awaitable[None]]
    engine_trouble: Callable[[], Mapping[str, str | None]]


def service_of(connection: HTTPConnection) -> Service:
    """Give the service that the application was made with."""
    service = connection.app.state.service
    assert isinstance(service, Service)  # noqa: S101 - tells the type checker what `create_app` put there
    return service


def _may(*scopes: Scope) -> list[params.Depends]:
    """Give the dependencies of a route that needs a token of one of these scopes."""

    async def check(
        request: Request,
    ) -> None:  # no function of a thread: the log's context is the request's own
        service_of(request).guard.check(request, scopes)

    return [Security(bearer_scheme), Depends(check)]


MAY_POST = _may(Scope.INTAKE)
MAY_READ_A_JOB = _may(Scope.INTAKE, Scope.READ)
MAY_READ = _may(Scope.READ)
MAY_OPERATE = _may(Scope.OPERATE)
