"""Files of keys in the data folder, one key a line: the first is used, others are believed for a while."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from scicat_retriever.domain.secret_text import SHORTEST_KEY, is_placeholder
from scicat_retriever.settings import SettingsInvalid


def make_key(file: Path) -> None:
    """Make a file with a new key, if there is none; a file that is there is left as it is."""
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
    """Give the keys of a file that the service uses; the first is the one that it signs or seals with.

    Args:
        file: The file. It must not be open to others.
        missing: The message for a file that is not there.
        unusable: The advice for a file that holds no usable keys.

    Raises:
        SettingsInvalid: The file is not there, or cannot be used. The message says why, and never what the
            file holds.
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
    """Give the keys that a file holds, whoever may read it: for the file of a backup, too.

    Args:
        file: The file.
        unusable: The advice for a file that holds no usable keys.

    Raises:
        SettingsInvalid: The file cannot be read, or holds no usable keys. The message never says what it
            holds.
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
