"""The wiring from settings to the parts that run. There are no globals: all is built here and passed on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.catalogue.scicat import Scicat
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.secret_text import SHORTEST_KEY
from scicat_retriever.key_files import keys_in, make_key
from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from scicat_retriever.pipeline.recalls.watch import DeskPace
from scicat_retriever.pipeline.staging import ownership
from scicat_retriever.pipeline.staging.owned_staging import OwnedStaging
from scicat_retriever.pipeline.tools.links import LinkSigner
from scicat_retriever.pipeline.tools.stores import Stores
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.ports.staging_area import StagingArea
from scicat_retriever.settings import Settings, SettingsInvalid
from scicat_retriever.settings.stores import section_of
from scicat_retriever.storage.lts.kinds import open_store, recall_policy
from scicat_retriever.storage.lts.store_kind import StoreKeys
from scicat_retriever.storage.staging.kinds import staging_kind
from scicat_retriever.workflow.engine.connection import EngineAccess
from scicat_retriever.workflow.flows import schedules
from scicat_retriever.workflow.flows.tasks import FlowLimits
from scicat_retriever.workflow.steps.runner import Pace
from scicat_retriever.workflow.worker import WorkerLimits

_KEY_FILE, _ENGINE_KEY_FILE = "links.key", "engine.key"
_READ_BY_LIBRARIES = {
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
}
"""Variables of the environment that the libraries for SciCat and the stores read."""


def utc_now() -> datetime:
    """Give the time, UTC and aware."""
    return datetime.now(UTC)


def make_data_folder(settings: Settings) -> None:
    """Make the service's own folder, and refuse one that everybody may enter: it holds keys and user names.

    Raises:
        SettingsInvalid: The folder cannot be made or used, or everybody may enter it.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = settings.data.stat().st_mode
    except OSError as error:
        raise SettingsInvalid(f"data: {settings.data} cannot be made: {error.strerror}") from None
    if mode & 0o007:
        raise SettingsInvalid(
            f"data: {settings.data} is open to everybody: chmod 700 it, or take another folder"
        )
    if not os.access(settings.data, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsInvalid(f"data: {settings.data} cannot be written to by the service's user")


def check_apart(settings: Settings) -> None:
    """Check that processes on several machines have what they must share: the ledger and the links' URL.

    There are several machines if `engine.address` names an engine on another machine.

    Raises:
        SettingsInvalid: The URL of the ledger or of the links is missing; the message names it.
    """
    address = settings.engine.address
    if address is None or _is_of_this_machine(address.rpartition(":")[0]):
        return
    if settings.ledger.url is None:
        raise SettingsInvalid(
            f"ledger.url is missing: the engine at {address} serves several machines, and each would have a ledger of its own"
        )
    if settings.api.public_url is None:
        raise SettingsInvalid(
            f"api.public_url is missing: the engine at {address} serves several machines, and links written by this one would "
            f"begin with {settings.api.base_url}"
        )


def _is_of_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def make_link_key(settings: Settings) -> None:
    """Make a key that signs links, in the data folder, if there is none and the settings name none."""
    if settings.links.secret is None:
        make_key(settings.data / _KEY_FILE)


def make_engine_key(settings: Settings) -> None:
    """Make a key that seals what the engine is given, in the data folder, if there is none.

    None is made where the settings name keys.
    """
    if not settings.engine.keys:
        make_key(settings.data / _ENGINE_KEY_FILE)


def _link_keys(settings: Settings) -> tuple[str, ...]:
    """Give the keys of the links, the one that signs first."""
    if settings.links.secret is not None:
        return tuple(
            each.get_secret_value() for each in (settings.links.secret, *settings.links.former_secrets)
        )
    return keys_in(
        settings.data / _KEY_FILE,
        "links.secret is missing: processes that run apart must sign and check links with the same key "
        f"(at least {SHORTEST_KEY} characters)",
        "put it back from the backup; or remove it: another is made, and all links that were given until now end",
    )


def _engine_keys(settings: Settings) -> tuple[str, ...]:
    """Give the keys of the seal, the one that seals first."""
    if settings.engine.keys:
        return tuple(key.get_secret_value() for key in settings.engine.keys)
    return keys_in(
        settings.data / _ENGINE_KEY_FILE,
        "engine.keys is missing: processes that run apart must seal what they give the engine with the same key "
        f"(at least {SHORTEST_KEY} characters)",
        "remove it: another is made, and jobs under way are started again from the ledger",
    )


def engine_access(settings: Settings) -> EngineAccess:
    """Give the access to the engine: where it is, how to log in, and the keys that seal what it is given.

    Raises:
        SettingsInvalid: The engine's address is missing, or a key.
    """
    engine = settings.engine
    if engine.address is None:
        raise SettingsInvalid("engine.address is missing: name a Temporal, or use `retriever serve`")
    return EngineAccess(
        engine.address,
        engine.namespace,
        _engine_keys(settings),
        tls=engine.tls,
        api_key=None if engine.api_key is None else engine.api_key.get_secret_value(),
    )


def build_ledger(settings: Settings) -> SqlLedger:
    """Open the ledger, and bring its tables up to date."""
    return open_ledger(settings.ledger_url, utc_now)


def build_links(settings: Settings) -> LinkSigner:
    """Make the signer, which signs and checks links."""
    return LinkSigner([key.encode() for key in _link_keys(settings)], settings.api.base_url)


def link_margin(settings: Settings) -> timedelta:
    """Give the time for which a dataset stays pinned after its links have expired."""
    return timedelta(seconds=settings.links.retention - settings.links.lifetime)


def build_staging(settings: Settings, ledger: Ledger) -> StagingArea:
    """Open the staging area. It must be the ledger's own, or nobody's: then it becomes the ledger's own.

    Raises:
        SettingsInvalid: The area would never have room for anything.
        StagingNotOurs: The area is another ledger's, or it is not mounted.
        StagingError: The area cannot be used.
    """
    area = staging_area(settings)
    ownership.take(area, ledger)
    if area.room().total <= 0:
        raise SettingsInvalid(
            "staging.keep_free_bytes: what is to be kept free is all that the file system of staging.root has: make it less, or "
            "take another folder"
        )
    return OwnedStaging(area, ledger.ownership.identity(), staging_kind(settings.staging).trusted_seconds)


def staging_area(settings: Settings) -> StagingArea:
    """Give the staging area, whichever ledger it belongs to."""
    with _named("staging"):
        return staging_kind(settings.staging).open(settings.staging)


def build_stores(settings: Settings) -> Stores:
    """Make the long-term stores that the settings name."""
    stores = settings.all_stores
    return Stores(
        stores={name: _named_store(name, store) for name, store in stores.items()},
        locations={location: name for name, store in stores.items() for location in store.locations},
        copies={name: store.other_copy for name, store in stores.items() if store.other_copy is not None},
        only_named=bool(settings.lts.locations),
    )


def _named_store(name: str, store: StoreKeys) -> LongTermStore:
    section = section_of(name)
    with _named(section):
        return open_store(store, section)


def require_broker(settings: Settings) -> BrokerSettings:
    """Give the broker's settings.

    Raises:
        SettingsInvalid: The settings have no broker.
    """
    if settings.broker is None:
        raise SettingsInvalid(
            "broker.url is missing: add a section [broker] to retriever.toml, or set RETRIEVER_BROKER__URL, to "
            "consume jobs from RabbitMQ"
        )
    return settings.broker


@contextmanager
def _named(section: str) -> Iterator[None]:
    """Turn an error that keeps a section's client from being made into one that names the section.

    It also names the variables of the environment that the client's library reads.

    Raises:
        SettingsInvalid: The client cannot be made.
    """
    try:
        yield
    except (SettingsInvalid, RetrieverError):
        raise
    except Exception as error:
        read = [name for name in os.environ if name.upper() in _READ_BY_LIBRARIES or name.startswith("AWS_")]
        environment = f", or the environment's {', '.join(sorted(read))}" if read else ""
        raise SettingsInvalid(
            f"{section}: it cannot be used as the section [{section}]{environment} says: {error}"
        ) from error


def build_toolbox(settings: Settings) -> Toolbox:
    """Build the toolbox: all that the steps of a retrieval work with."""
    ledger = build_ledger(settings)
    with _named("catalogue"):
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


def flow_limits(settings: Settings) -> FlowLimits:
    """Give the limits that new flows go by."""
    return FlowLimits.of(settings.flow, settings.flow, settings.engine.task_queue)


def pace(settings: Settings) -> Pace:
    """Give the pace of repetitions: how they are spaced."""
    return Pace(settings.flow, settings.flow)


def worker_limits(settings: Settings) -> WorkerLimits:
    """Give the limits of a worker: how much it does at once, and how often its schedules run."""
    flow, cache = settings.flow, settings.cache
    return WorkerLimits(
        slots=flow,
        intervals={
            schedules.SWEEP: cache.sweep_interval,
            schedules.RECONCILE: flow.reconcile_interval,
            schedules.INVENTORY: cache.check_interval,
            # What is due is found soon; how often each datablock is due is another matter.
            schedules.FIXITY: cache.sweep_interval,
        },
        fixity_pace=cache,
        patience=flow,
        undeliverable_kept=timedelta(seconds=flow.undeliverable_kept),
        job_types=settings.job_types,
        recall_policies={name: recall_policy(store) for name, store in settings.all_stores.items()},
        desk_pace=DeskPace(flow),
    )
