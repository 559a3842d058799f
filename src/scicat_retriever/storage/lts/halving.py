"""Asking about many files at once of a server that refuses all of them for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from scicat_retriever.domain.errors import StoreRefusesAccount, StoreUnavailable
from scicat_retriever.storage.lts.tape_http import Refused

T = TypeVar("T")

ENOUGH_REFUSALS = 8
"""After so many files that are refused one by one, and none that is not, it is not about the files."""


def by_halves(
    paths: Sequence[str], ask: Callable[[Sequence[str]], Mapping[str, T]]
) -> dict[str, T | Refused]:
    """Ask about all files; where that is refused, about each half, down to the single ones that are to blame.

    After `ENOUGH_REFUSALS` of single files, and no answer, the others count as refused, too.

    Args:
        paths: The files.
        ask: Asks about some of them; may leave some out of its answer.
    """
    answers: dict[str, T | Refused] = {}
    refusals = 0
    waiting = [paths] if paths else []
    while waiting:
        some = waiting.pop()
        try:
            answers |= ask(some)
        except Refused as refused:
            if len(some) > 1:
                waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
                continue
            answers[some[0]] = refused
            refusals += 1
            if refusals == len(answers) >= ENOUGH_REFUSALS:
                return dict.fromkeys(paths, refused)
    return answers


def refuse_if_all_are(answers: Mapping[str, object]) -> None:
    """Raise what it means that every file is refused: then it is not about the files.

    Raises:
        StoreRefusesAccount: With 403.
        StoreUnavailable: With something else: the address is wrong.
    """
    refusals = [answer for answer in answers.values() if isinstance(answer, Refused)]
    if not refusals or len(refusals) < len(answers):
        return
    if refusals[0].status == 403:
        raise StoreRefusesAccount(f"{refusals[0]}: give the service's account the right to")
    raise StoreUnavailable(f"{refusals[0]}: is the API where the settings say?")
