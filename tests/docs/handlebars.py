"""The part of Handlebars that the pages' templates use: paths, `if`, `unless`, `each`, `else`, `../`, `jsonify`.

As SciCat's backend renders them (handlebarsjs.com/guide): two braces escape, three do not; what is missing is
an empty text; false, null, 0, "" and an empty list are false. An expression that is none of these fails the
test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_TAG = re.compile(r"\{\{\{(?P<raw>[^{}]+)\}\}\}|\{\{(?P<tag>[^{}]+)\}\}")
_PATH = re.compile(r"(\.\./)*(this|[A-Za-z_]\w*)(\.\w+)*")
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#x27;",
    "`": "&#x60;",
    "=": "&#x3D;",
}


@dataclass
class _Part:
    """A text, an expression or a block, with what stands in it and behind its `else`."""

    kind: str
    words: str = ""
    inside: list[_Part] = field(default_factory=list)
    otherwise: list[_Part] = field(default_factory=list)


def rendered(template: str, context: Mapping[str, object]) -> str:
    """Render a template with a context, as `job`, `datasets`, `request` and `env`."""
    return _all(_parsed(template), [context])


def _parsed(template: str) -> list[_Part]:
    root = _Part("root")
    open_blocks = [root]
    here = root.inside
    end = 0
    for match in _TAG.finditer(template):
        here.append(_Part("text", template[end : match.start()]))
        end = match.end()
        raw, tag = match["raw"], (match["tag"] or "").strip()
        if raw is not None:
            here.append(_Part("raw", raw.strip()))
        elif tag.startswith("#"):
            kind, _, words = tag[1:].partition(" ")
            assert kind in ("if", "unless", "each"), f"this test does not know {tag!r}"
            block = _Part(kind, words.strip())
            here.append(block)
            open_blocks.append(block)
            here = block.inside
        elif tag == "else":
            here = open_blocks[-1].otherwise
        elif tag.startswith("/"):
            assert open_blocks.pop().kind == tag[1:].strip(), f"{tag!r} closes another block"
            parent = open_blocks[-1]
            here = parent.otherwise or parent.inside
        else:
            here.append(_Part("escaped", tag))
    assert open_blocks == [root], "a block stays open"
    here.append(_Part("text", template[end:]))
    return root.inside


def _all(parts: Sequence[_Part], scopes: Sequence[object]) -> str:
    return "".join(_one(part, scopes) for part in parts)


def _one(part: _Part, scopes: Sequence[object]) -> str:
    if part.kind == "text":
        return part.words
    if part.kind == "raw":
        return _text(part.words, scopes)
    if part.kind == "escaped":
        return "".join(_ESCAPES.get(letter, letter) for letter in _text(part.words, scopes))
    value = _value(part.words, scopes)
    if part.kind == "each":
        elements = value if isinstance(value, list) else []
        if not elements:
            return _all(part.otherwise, scopes)
        return "".join(_all(part.inside, [*scopes, element]) for element in elements)
    wanted = bool(value) if part.kind == "if" else not value
    return _all(part.inside if wanted else part.otherwise, scopes)


def _text(words: str, scopes: Sequence[object]) -> str:
    helper, _, path = words.partition(" ")
    if helper == "jsonify" and path:
        return json.dumps(_value(path.strip(), scopes), ensure_ascii=False)
    value = _value(words, scopes)
    return "" if value is None else str(value)


def _value(path: str, scopes: Sequence[object]) -> object:
    assert _PATH.fullmatch(path), f"this test does not know {path!r}"
    up = path.count("../")
    found = scopes[len(scopes) - 1 - up]
    for step in path.replace("../", "").split("."):
        if step == "this":
            continue
        found = found.get(step) if isinstance(found, Mapping) else None
    return found
