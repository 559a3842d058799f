"""Download links, and what signs the lists of what they lead to."""

from __future__ import annotations

from datetime import timedelta

from scicat_retriever.bootstrap.keys import link_keys, manifest_key
from scicat_retriever.pipeline.delivery.signature import ListSigner
from scicat_retriever.pipeline.tools.links import LinkSigner
from scicat_retriever.settings import Settings


def build_links(settings: Settings) -> LinkSigner:
    """Make the signer, which signs and checks links."""
    return LinkSigner([key.encode() for key in link_keys(settings)], settings.api.base_url)


def build_signer(settings: Settings) -> ListSigner | None:
    """Make what signs manifests and lists of checksums; None where there is no key for that."""
    key = manifest_key(settings)
    return None if key is None else ListSigner(key)


def link_margin(settings: Settings) -> timedelta:
    """Give the time for which a dataset stays pinned after its links have expired."""
    return timedelta(seconds=settings.links.retention - settings.links.lifetime)
