"""The toolbox: SciCat, the stores, staging, the ledger and the policies, for the steps of a retrieval."""

from __future__ import annotations

from datetime import timedelta

from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.bootstrap.complaint import named
from scicat_retriever.bootstrap.ledger import build_ledger
from scicat_retriever.bootstrap.links import build_links, link_margin
from scicat_retriever.bootstrap.staging import build_staging
from scicat_retriever.bootstrap.stores import build_stores
from scicat_retriever.catalogue.scicat import Scicat
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.settings import Settings


def build_toolbox(settings: Settings) -> Toolbox:
    """Build the toolbox: all that the steps of a retrieval work with."""
    ledger = build_ledger(settings)
    with named("catalogue"):
        catalogue = Scicat(settings.catalogue, longest_job=settings.api.max_body_bytes)
    return Toolbox(
        catalogue=catalogue,
        stores=build_stores(settings),
        staging=build_staging(settings, ledger),
        ledger=ledger,
        links=build_links(settings),
        checksums=settings.flow,
        archives=settings.flow,
        retention=timedelta(seconds=settings.links.retention),
        margin=link_margin(settings),
        cache=settings.cache,
        # Jobs that wait ask at least as often as that.
        silence=timedelta(seconds=60 + 5 * settings.flow.poll_maximum),
        stall_timeout=settings.flow.stall_timeout,
        clock=utc_now,
    )
