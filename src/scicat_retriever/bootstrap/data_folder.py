"""The service's own folder, and what processes on several machines must share beside it."""

from __future__ import annotations

import os
from ipaddress import ip_address

from scicat_retriever.settings import Settings, SettingsInvalid


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
