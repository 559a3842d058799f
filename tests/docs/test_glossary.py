"""The glossary: each word once, in a few sentences, with the module or page where it lives."""

from __future__ import annotations

import re
from collections.abc import Iterator

import scicat_retriever.ports
from tests.docs.pages import ROOT

GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"
SOURCE = ROOT / "src" / "scicat_retriever"
MOST_SENTENCES = 3


def entries() -> Iterator[tuple[str, str, str]]:
    """Give word, meaning and where it lives, row by row."""
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not re.match(r"\| (word|---) ", line):
            word, meaning, where = (cell.strip() for cell in line.strip("|").split(" | "))
            yield word, meaning, where


def test_each_word_stands_in_the_glossary_once() -> None:
    words = [word for entry in entries() for word in entry[0].split(", ")]
    assert len(words) > 50
    assert sorted(words) == sorted(set(words))


def test_each_meaning_is_a_few_short_sentences() -> None:
    long = [word for word, meaning, _ in entries() if len(re.findall(r"\.(?: |$)", meaning)) > MOST_SENTENCES]
    assert long == []


def test_each_word_names_modules_that_exist_or_a_page() -> None:
    nowhere = []
    for word, _, where in entries():
        modules = re.findall(r"`([^`]+)`", where)
        if not (modules or "](" in where) or not all((SOURCE / module).is_file() for module in modules):
            nowhere.append((word, where))
    assert nowhere == []


def test_whoever_reads_the_ports_or_contributes_is_led_to_the_glossary() -> None:
    assert "docs/reference/glossary.md" in (scicat_retriever.ports.__doc__ or "")
    assert "docs/reference/glossary.md" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
