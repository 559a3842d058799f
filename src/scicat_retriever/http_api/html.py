"""Pages in HTML: readable without scripts, loaded from nowhere else, framed by nobody."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scicat_retriever.domain.amounts import in_words

_TEMPLATES = Path(__file__).with_name("templates")
_STYLE = (_TEMPLATES / "style.css").read_text()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    # Nothing is loaded or run; forms go to this service alone; the style is let in by its hash (CSP Level 3).
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    # The address of a page may be all that is needed to download: nobody else is told it.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}
_WHO = {
    "user": "you can mend this",
    "operator": "those who run this service or the archive can mend this",
    "system": "this may pass by itself; SciCat offers to try again",
}


def moment(time: datetime) -> str:
    """Write a UTC time for people: `8 December 2026, 14:05 UTC`."""
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _environment() -> Environment:
    # Every value is escaped, whoever it comes from; a value that is missing is a fault, not an empty word.
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"amount": in_words, "moment": moment, "who": lambda who: _WHO[who]}
    made.globals["style"] = Markup(_STYLE)  # noqa: S704 - a file of this package
    return made


_PAGES = _environment()


def html(template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - a template's own
    """Make a page.

    Args:
        template: The name of its file in `templates/`.
        status: The HTTP status.
        values: What the template shows.
    """
    values |= {"status": status}
    return HTMLResponse(_PAGES.get_template(template).render(values), status, _HEADERS)
