"""`retriever backup` and `retriever restore` of all that must not be lost: the ledger and two keys.

The engine's database is left out on purpose. Two databases copied one after the other disagree, and the
ledger alone is enough: the flows that an engine does not know are started again from it
(`workflow/steps/lost_flows.py`).
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scicat_retriever.bootstrap.data_folder import make_data_folder
from scicat_retriever.bootstrap.ledger import build_ledger
from scicat_retriever.bootstrap.staging import build_staging
from scicat_retriever.domain.batches import in_batches
from scicat_retriever.domain.errors import StagingError
from scicat_retriever.key_files import checked_keys
from scicat_retriever.ledger.backup import copy_ledger, known_tokens, sqlite_file
from scicat_retriever.ports.staging_area import Holding, StagingArea
from scicat_retriever.settings import Settings, SettingsInvalid

_BATCH = 5000
"""Files in staging that are looked at together."""
LEDGER, KEY, MANIFEST_KEY = "ledger.sqlite", "links.key", "manifest.key"
_KEYS = {
    KEY: ("the key of the links", "all links that were given end"),
    MANIFEST_KEY: ("the key of the manifests", "signatures that were given fit the new public key no more"),
}
"""The files of keys that are copied: what each is, and what it costs to do without it."""
_OF_A_SERVICE = ("ledger.sqlite", "engine.sqlite", "engine.key", "links.key", "manifest.key", "lock")
"""Names in a data folder, of which a folder that was used already has one or more."""


def back_up(settings: Settings, target: Path) -> Iterator[str]:
    """Copy the ledger and the keys of links and manifests, while the service runs.

    Args:
        settings: The settings.
        target: A folder that is not there yet; it appears once its contents are complete.

    Yields:
        A sentence for each thing that was done, or that is left to the operator.

    Raises:
        SettingsInvalid: There is nothing to back up, or the folder cannot be made.
        LedgerUnavailable: The ledger cannot be read, or the copy cannot be written.
    """
    ledger = sqlite_file(settings.ledger_url)
    if ledger is not None and not ledger.exists():
        raise SettingsInvalid(f"data: there is no ledger at {ledger}: name the service's folder with --data")
    if target.exists():
        raise SettingsInvalid(f"the backup's folder {target} is there already: name one that is not")
    with _folder_of_its_own(target) as aside:
        if ledger is None:
            yield "the ledger is in PostgreSQL: back it up with pg_dump"
        else:
            copy_ledger(ledger, aside / LEDGER)
            yield f"the ledger is in {target / LEDGER}"
        for name, (what, _) in _KEYS.items():
            if (settings.data / name).exists():
                _copy_key(settings.data / name, aside / name)
                yield f"{what} is in {target / name}: a secret"


def restore(settings: Settings, source: Path, *, remove_strays: bool) -> Iterator[str]:
    """Put a backup into a fresh data folder, and look for staged files that the ledger does not know.

    Args:
        settings: The settings; their data folder is empty, or is made.
        source: The folder that `back_up` made.
        remove_strays: Whether files that the restored ledger does not know are removed. No service may use
            the staging area meanwhile.

    Yields:
        A sentence for each thing that was done, or that is left to the operator.

    Raises:
        SettingsInvalid: The data folder was used already, or the backup lacks the ledger, or its key cannot
            be used.
        LedgerUnavailable: The ledger cannot be read or written.
    """
    ledger = sqlite_file(settings.ledger_url)
    if ledger is not None and not (source / LEDGER).exists():
        raise SettingsInvalid(f"the backup {source} holds no {LEDGER}")
    keys = [name for name in _KEYS if (source / name).exists()]
    for name in keys:
        checked_keys(source / name, f"take it from another backup; or remove it: {_KEYS[name][1]}")
    make_data_folder(settings)
    used = [name for name in _OF_A_SERVICE if (settings.data / name).exists()]
    if used or (ledger is not None and ledger.exists()):
        raise SettingsInvalid(f"data: {settings.data} is not empty: name a fresh folder, or move it aside")
    if ledger is None:
        yield "the ledger is in PostgreSQL: it must have been restored with pg_restore before"
    else:
        copy_ledger(source / LEDGER, ledger)
        yield f"the ledger is in {ledger}"
    for name in keys:
        _copy_key(source / name, settings.data / name)
        yield f"{_KEYS[name][0]} is in {settings.data / name}"
    yield _look_for_strays(settings, remove_strays=remove_strays)


def _look_for_strays(settings: Settings, *, remove_strays: bool) -> str:
    count = size = 0
    try:
        ledger = build_ledger(settings)
        try:
            staging = build_staging(settings, ledger)
        finally:
            ledger.close()
        for stray in _strays(staging, settings.ledger_url):
            count += 1
            size += stray.size
            if remove_strays:
                staging.remove(stray)
    except StagingError as error:
        return f"staging was not looked through: {error}"
    if not count:
        return "staging holds nothing that the restored ledger does not know"
    what = f"{count} files in staging, {size} bytes, that the restored ledger does not know"
    return f"removed {what}" if remove_strays else f"left {what}"


def _strays(staging: StagingArea, ledger_url: str) -> Iterator[Holding]:
    """Find the files whose token no datablock has. Nobody may be writing to the staging area meanwhile."""
    for batch in in_batches(staging.holdings(), _BATCH):
        known = known_tokens(ledger_url, {holding.token for holding in batch})
        yield from (holding for holding in batch if holding.token not in known)


@contextmanager
def _folder_of_its_own(target: Path) -> Iterator[Path]:
    """Give a folder that gets its name `target` at the end, and is removed after an error."""
    aside = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    try:
        aside.mkdir(mode=0o700)
        yield aside
        aside.rename(target)
    except OSError as error:
        raise SettingsInvalid(f"the backup cannot be written to {target}: {error.strerror}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copy_key(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(source.read_bytes())
        opened.flush()
        os.fsync(descriptor)
