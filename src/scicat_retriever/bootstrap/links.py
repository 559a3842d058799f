"""Download links."""

from __future__ import annotations

from datetime import timedelta

from scicat_retriever.bootstrap.keys import link_keys
from scicat_retriever.pipeline.tools.links import LinkSigner
from scicat_retriever.settings import Settings


def build_links(settings: Settings) -> LinkSigner:
    """Make the signer, which signs and checks links."""
    return LinkSigner([key.encode() for key in link_keys(settings)], settings.api.base_url)


def link_margin(settings: Settings) -> timedelta:
    """Give the time for which a dataset stays pinned after its links have expired."""
    return timedelta(seconds=settings.links.retention - settings.links.lifetime)
