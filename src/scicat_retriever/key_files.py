"""Files of keys in the data folder: a key in each line, the first of which is used, the others believed for a while."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from scicat_retriever.domain.secret_text import SHORTEST_KEY, is_placeholder
from scicat_retriever.settings import SettingsInvalid


def make_key(file: Path) -> None:
    """See to it that there is a file of keys; one that is there is left as it is."""
    if file.exists():
        return
    # Written aside and linked into place, so that nobody ever reads half a key and the first of two wins.
    aside = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(secrets.token_hex(32))
        opened.flush()
        os.fsync(descriptor)
    try:
        os.link(aside, file)
    except FileExistsError:
        return
    finally:
        aside.unlink()


def keys_in(file: Path, missing: str, unusable: str) -> tuple[str, ...]:
    """Give the keys of a file that the service uses, the one that is used first.

    Args:
        file: The file.
        missing: What to say where there is none.
        unusable: What to do where what it holds is no key.

    Raises:
        SettingsInvalid: There is none; or it cannot be used: the message says why, and never what it holds.
    """
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        raise SettingsInvalid(missing) from None
    except OSError as error:
        raise SettingsInvalid(f"{file} cannot be read: {error}") from None
    if mode & 0o077:
        raise SettingsInvalid(
            f"{file} is open to others: chmod 600 it. If they may have read it, write a new key (openssl rand -hex 32) as its "
            "first line, and remove the old line as soon as what was signed with it may end"
        )
    return checked_keys(file, unusable)


def checked_keys(file: Path, unusable: str) -> tuple[str, ...]:
    """Give the keys that a file holds, whoever may read it: of a backup, too.

    Args:
        file: The file.
        unusable: What to do where what it holds is no key.

    Raises:
        SettingsInvalid: It cannot be read, or holds no keys; the message never says what it holds.
    """
    try:
        keys = tuple(file.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file} cannot be read ({error}): {unusable}") from None
    if not keys or any(len(key) < SHORTEST_KEY or is_placeholder(key) for key in keys):
        raise SettingsInvalid(
            f"{file} must hold a key of at least {SHORTEST_KEY} characters in each line, none of which is an example of the "
            f"documentation: {unusable}"
        )
    return keys
