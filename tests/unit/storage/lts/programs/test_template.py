from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import ArchiveIdUnsafe
from scicat_retriever.storage.lts.programs.template import CommandTemplate

FIELDS = frozenset({"path", "archive_id"})
ARGUMENTS = st.text(st.characters(exclude_characters="\0"), min_size=1)


@given(ARGUMENTS.filter(lambda text: not text.startswith("-")))
def test_whatever_is_put_in_stays_one_argument(value: str) -> None:
    template = CommandTemplate(["hsm", "get", "{path}", "--name={path}"], FIELDS)
    assert template.expand({"path": value}) == ["hsm", "get", value, f"--name={value}"]


@given(ARGUMENTS)
def test_no_value_ever_becomes_an_option(value: str) -> None:
    template = CommandTemplate(["hsm", "{path}"], FIELDS)
    try:
        assert not template.expand({"path": value})[1].startswith("-")
    except ArchiveIdUnsafe:
        assert value.startswith("-")


def test_behind_two_dashes_a_value_may_begin_with_one() -> None:
    template = CommandTemplate(["hsm", "--", "{archive_id}"], FIELDS)
    assert template.expand({"archive_id": "-rf"}) == ["hsm", "--", "-rf"]


def test_an_option_that_a_value_ends_is_kept() -> None:
    template = CommandTemplate(["hsm", "-f{path}"], FIELDS)
    assert template.expand({"path": "-rf"}) == ["hsm", "-f-rf"]


def test_what_is_put_in_is_not_looked_through_for_fields() -> None:
    template = CommandTemplate(["hsm", "{archive_id}", "{path}"], FIELDS)
    assert template.expand({"archive_id": "{path}", "path": "{archive_id}"}) == [
        "hsm",
        "{path}",
        "{archive_id}",
    ]


def test_braces_that_hold_no_name_are_kept() -> None:
    template = CommandTemplate(["awk", "{ print $1 }", "{path}"], FIELDS)
    assert template.expand({"path": "/a"}) == ["awk", "{ print $1 }", "/a"]


def test_a_value_with_nul_is_refused() -> None:
    with pytest.raises(ArchiveIdUnsafe, match="NUL"):
        CommandTemplate(["hsm", "{path}"], FIELDS).expand({"path": "/a\0b"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "begins with"),
        ([""], "begins with"),
        (["{path}"], "begins with"),
        (["/bin/{archive_id}"], "begins with"),
        (["hsm", "{pth}"], r"\{pth\} is not known"),
        (["hsm", "{target}"], r"\{target\} is not known"),
        (["hsm", "a\0b"], "NUL"),
    ],
)
def test_a_command_that_cannot_be_used_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CommandTemplate(arguments, FIELDS)
