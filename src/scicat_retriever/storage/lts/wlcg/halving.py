"""Questions about many files at once, to a server that refuses all of them because of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from scicat_retriever.domain.errors import StoreRefusesAccount, StoreUnavailable
from scicat_retriever.storage.lts.wlcg.http import Rejected

T = TypeVar("T")

ENOUGH_REFUSALS = 8
"""Number of files refused one by one, and none answered, from which on the refusal is not about the files."""

_NO_SUCH_ROUTE = frozenset({404, 405, 410})
"""Statuses that mean a wrong address: a route for many files tells of a single file in its answer."""


def by_halves(
    paths: Sequence[str], ask: Callable[[Sequence[str]], Mapping[str, T]]
) -> dict[str, T | Rejected | StoreUnavailable]:
    """Ask about all files; where that is refused, about each half, down to the single files to blame.

    After `ENOUGH_REFUSALS` refusals of single files, and no answer, the other files count as refused, too.
    Once the server does not answer, nothing more is asked: `StoreUnavailable` is then the answer for all
    files that are left.

    Args:
        paths: The files.
        ask: Asks about some of them; may leave some out of its answer.
    """
    answers: dict[str, T | Rejected | StoreUnavailable] = {}
    refusals = 0
    waiting = [paths] if paths else []
    while waiting:
        some = waiting.pop()
        try:
            answers |= ask(some)
        except StoreUnavailable as trouble:
            return answers | dict.fromkeys((path for part in (some, *waiting) for path in part), trouble)
        except Rejected as refused:
            if len(some) > 1:
                waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
                continue
            answers[some[0]] = refused
            refusals += 1
            if refusals == len(answers) >= ENOUGH_REFUSALS:
                return dict.fromkeys(paths, refused)
    return answers


def refuse_if_all_are(answers: Mapping[str, object]) -> None:
    """Raise where all answers are refusals with one status, or all are `StoreUnavailable`.

    One refused file alone is that file's own matter, unless the status means that there is no such route.

    Raises:
        StoreRefusesAccount: Several files are refused with 403.
        StoreUnavailable: They are refused with another status, so the address is wrong; or the server does
            not answer.
    """
    first, *others = list(answers.values()) or [None]
    if isinstance(first, StoreUnavailable):
        if all(isinstance(answer, StoreUnavailable) for answer in others):
            raise first
        return
    if not isinstance(first, Rejected) or not all(
        isinstance(answer, Rejected) and answer.status == first.status for answer in others
    ):
        return
    if first.status in _NO_SUCH_ROUTE or (others and first.status != 403):
        raise StoreUnavailable(f"{first}: is the API where the settings say?")
    if others:
        raise StoreRefusesAccount(f"{first}: give the service's account the right to")
