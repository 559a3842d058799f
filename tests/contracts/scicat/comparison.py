"""Compares a live answer with a recorded one: everything but what must differ.

Ids are not ignored: the first time a recorded id is met it is bound to the live one in its place, and from then
on both must go together. Only times, tokens and ids of the database itself are compared by their shape.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")

_MOMENTS = frozenset(
    [
        "createdAt",
        "updatedAt",
        "created",
        "dateOfDiskPurging",
        "publishedOn",
        "archiveRetentionTime",
        "dateOfPublishing",
    ]
)
_KIND_ONLY = frozenset({"configVersion", "expires_in", "ttl", "scientificMetadata"})
"""Fields of which only the type is compared: the operator's settings, and metadata with converted units."""


@dataclass
class Names:
    """What recorded texts are called in this replay."""

    live: dict[str, str] = field(default_factory=dict)

    def bind(self, recorded: str, live: str) -> None:
        """Remember what a recorded text is called."""
        self.live[recorded] = live

    def translate(self, text: str) -> str:
        """Put the live names into a recorded text, a path or a JSON text, percent-encoded ones too."""
        for recorded, live in self.live.items():
            text = text.replace(recorded, live)
            once, now = quote(recorded, safe=""), quote(live, safe="")
            if once != recorded:
                text = text.replace(once, now).replace(quote(once, safe=""), quote(now, safe=""))
        return text


def differences(recorded: object, live: object, names: Names, where: str = "body") -> Iterator[str]:
    """Name every place where a live value is not what was recorded."""
    key = where.rpartition(".")[2]
    if _is_buffer(recorded) and _is_buffer(live):
        return
    if isinstance(recorded, dict) and isinstance(live, dict) and key not in _KIND_ONLY:
        yield from _objects(recorded, live, names, where)
    elif isinstance(recorded, list) and isinstance(live, list):
        if len(recorded) != len(live):
            yield f"{where}: {len(live)} elements instead of {len(recorded)}"
        for index, (one, other) in enumerate(zip(recorded, live, strict=False)):
            yield from differences(one, other, names, f"{where}[{index}]")
    elif isinstance(recorded, str) and isinstance(live, str):
        yield from _texts(key, recorded, live, names, where)
    elif type(recorded) is not type(live) or (key not in _KIND_ONLY and recorded != live):
        yield f"{where}: {live!r} instead of {recorded!r}"


def _is_buffer(value: object) -> bool:
    """Tell whether a value is an id of the database that is shown as its twelve bytes."""
    if not isinstance(value, dict) or value.keys() != {"buffer"}:
        return False
    buffer = value["buffer"]
    return buffer.keys() == {"type", "data"} and len(bytes(buffer["data"])) == 12


def _objects(recorded: dict[str, object], live: dict[str, object], names: Names, where: str) -> Iterator[str]:
    for key in recorded.keys() - live.keys():
        yield f"{where}.{key}: missing"
    for key in live.keys() - recorded.keys():
        yield f"{where}.{key}: not recorded, {live[key]!r}"
    for key in recorded.keys() & live.keys():
        yield from differences(recorded[key], live[key], names, f"{where}.{key}")


def _texts(key: str, recorded: str, live: str, names: Names, where: str) -> Iterator[str]:
    if key in _KIND_ONLY:
        return
    shape = _shape(key, recorded)
    if shape is not None:
        if not shape.fullmatch(live):
            yield f"{where}: {live!r} has not the shape of {recorded!r}"
        if key == "userId":
            names.bind(recorded, live)
        return
    if _UUID.search(recorded) and recorded not in names.live and _UUID.search(live):
        names.bind(recorded, live)
    if names.translate(recorded) != live:
        yield f"{where}: {live!r} instead of {names.translate(recorded)!r}"


def _shape(key: str, recorded: str) -> re.Pattern[str] | None:
    if recorded == "<token>":
        return _TOKEN
    if key in _MOMENTS or (
        key == "creationTime" and _MOMENT.fullmatch(recorded) and not recorded.startswith("2026-01")
    ):
        return _MOMENT
    return _OBJECT_ID if _OBJECT_ID.fullmatch(recorded) else None
