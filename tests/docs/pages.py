"""The documentation's pages, as far as tests look at them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "changelog.d" / "README.md",
        ROOT / "tests" / "README.md",
    ]
)

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\s*\n(?P<text>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_TABLE_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text without the fence's indentation."""

    place: str
    language: str
    text: str

    def __str__(self) -> str:
        """Name it in a test's id."""
        return self.place


def place_of(page: Path, text: str, offset: int) -> str:
    """Name a place in a page: path and line."""
    return f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, offset) + 1}"


def blocks(*languages: str) -> Iterator[Block]:
    """Give the fenced blocks of some languages in all pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match["language"] in languages:
                indent = re.compile(f"^{match['indent']}", re.MULTILINE)
                yield Block(
                    place_of(page, text, match.start()), match["language"], indent.sub("", match["text"])
                )


def prose(page: Path) -> str:
    """Give a page without its fenced blocks; line numbers stay."""
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Give the anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(plain)
    return found


def links() -> Iterator[tuple[str, Path, str]]:
    """Give each link of all pages that does not lead out: where it stands, its page, its target."""
    for page in PAGES:
        text = prose(page)
        for match in _LINK.finditer(text):
            if "://" not in match[1]:
                yield place_of(page, text, match.start()), page, match[1]


def code_words() -> Iterator[tuple[str, str]]:
    """Give each piece of inline code of all pages: where it stands, and its text."""
    for page in PAGES:
        text = prose(page)
        for match in _CODE.finditer(text):
            yield place_of(page, text, match.start()), match[1]


def table_column(heading: str) -> Iterator[tuple[str, str]]:
    """Give the cells of all tables' first column that has this heading: where it stands, and its text."""
    for page in PAGES:
        text = prose(page)
        inside = False
        end = 0
        for row in _TABLE_ROW.finditer(text):
            first = row[1].split("|")[0].strip()
            new_table = text[end : row.start()].strip("\n") != "" or text[end : row.start()].count("\n") > 1
            inside = first == heading if new_table or end == 0 else inside
            if inside and first != heading and first.strip("-: "):
                yield place_of(page, text, row.start()), first
            end = row.end()
