"""The keys of links, manifests and the seal: of the settings, or made and kept in the data folder."""

from __future__ import annotations

from scicat_retriever.domain.secret_text import SHORTEST_KEY
from scicat_retriever.key_files import keys_in, make_key
from scicat_retriever.settings import Settings

_KEY_FILE, _ENGINE_KEY_FILE, _MANIFEST_KEY_FILE = "links.key", "engine.key", "manifest.key"


def make_link_key(settings: Settings) -> None:
    """Make a key that signs links, in the data folder, if there is none and the settings name none."""
    if settings.links.secret is None:
        make_key(settings.data / _KEY_FILE)


def make_manifest_key(settings: Settings) -> None:
    """Make a key that signs manifests, in the data folder, if there is none and the settings name none."""
    if settings.links.manifest_secret is None:
        make_key(settings.data / _MANIFEST_KEY_FILE)


def make_engine_key(settings: Settings) -> None:
    """Make a key that seals what the engine is given, in the data folder, if there is none.

    None is made where the settings name keys.
    """
    if not settings.engine.keys:
        make_key(settings.data / _ENGINE_KEY_FILE)


def link_keys(settings: Settings) -> tuple[str, ...]:
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


def manifest_key(settings: Settings) -> str | None:
    """Give the key that signs manifests; None where there is none.

    Raises:
        SettingsInvalid: Its file cannot be used.
    """
    if settings.links.manifest_secret is not None:
        return settings.links.manifest_secret.get_secret_value()
    file = settings.data / _MANIFEST_KEY_FILE
    if not file.exists():
        return None
    advice = (
        "put it back from the backup; or remove it: another is made, and signatures that were given until now "
        "are checked with the public key of their time alone"
    )
    return keys_in(file, advice, advice)[0]


def engine_keys(settings: Settings) -> tuple[str, ...]:
    """Give the keys of the seal, the one that seals first."""
    if settings.engine.keys:
        return tuple(key.get_secret_value() for key in settings.engine.keys)
    return keys_in(
        settings.data / _ENGINE_KEY_FILE,
        "engine.keys is missing: processes that run apart must seal what they give the engine with the same key "
        f"(at least {SHORTEST_KEY} characters)",
        "remove it: another is made, and jobs under way are started again from the ledger",
    )
