"""How prose is set and what it names: pages, docstrings and comments."""

from __future__ import annotations

import re

from tests.docs.pages import PAGES, ROOT, place_of, prose

SOURCE = ROOT / "src" / "scicat_retriever"
LONGEST = 110
GENERATED = {"docs/reference/settings.md", "docs/reference/errors.md"}
_DOTTED = re.compile(
    r"`((?:domain|onepass|ports|pipeline|ledger|workflow|recall_planner|computed)(?:\.\w+)+)`"
)


def test_a_line_of_prose_is_at_most_110_characters_long() -> None:
    long = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in PAGES
        if str(page.relative_to(ROOT)) not in GENERATED
        for number, line in enumerate(prose(page).splitlines(), 1)
        if len(line) > LONGEST and not line.lstrip().startswith("|")
    ]
    assert long == []


def _exists(dotted: str) -> bool:
    """Say whether a package, a module, or a name within a module is there."""
    parts = dotted.split(".")
    for deep in range(len(parts), 0, -1):
        module = SOURCE.joinpath(*parts[:deep])
        if module.is_dir():
            return deep == len(parts)
        if module.with_suffix(".py").is_file():
            text = module.with_suffix(".py").read_text(encoding="utf-8")
            return deep == len(parts) or re.search(rf"\b{parts[deep]}\b", text) is not None
    return False


def test_a_module_that_the_source_names_in_words_exists() -> None:
    named = [
        (place_of(path, text, match.start()), match[1])
        for path in sorted(SOURCE.rglob("*.py"))
        for text in [path.read_text(encoding="utf-8")]
        for match in _DOTTED.finditer(text)
    ]
    assert len(named) > 20
    assert [(place, dotted) for place, dotted in named if not _exists(dotted)] == []
