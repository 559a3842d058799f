"""Whose a staging area is, and what is done to one that is not ours: nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scicat_retriever.domain.errors import StagedFileMissing, StagingNotOurs
from scicat_retriever.pipeline.staging.owned_staging import OwnedStaging
from scicat_retriever.pipeline.staging.ownership import adopt, take
from scicat_retriever.ports.staging_area import StagingArea
from tests.contracts.staging.rig import KEY, stage
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import START, Rig


@pytest.fixture
def ledger() -> InMemoryLedger:
    return Rig().ledger


@pytest.fixture
def area() -> InMemoryStagingArea:
    return InMemoryStagingArea()


def test_an_area_that_is_nobody_s_becomes_the_ledger_s(
    area: InMemoryStagingArea, ledger: InMemoryLedger
) -> None:
    take(area, ledger)
    assert area.owner() == ledger.ownership.identity()
    take(area, ledger)


def test_another_ledger_s_area_is_not_taken(area: InMemoryStagingArea, ledger: InMemoryLedger) -> None:
    take(area, ledger)
    with pytest.raises(
        StagingNotOurs, match=rf"another ledger \({ledger.ownership.identity()}\).*adopt-staging"
    ):
        take(area, Rig().ledger)
    assert area.owner() == ledger.ownership.identity()


def test_an_area_that_lost_its_marker_is_not_made_anew(
    area: InMemoryStagingArea, ledger: InMemoryLedger
) -> None:
    take(area, ledger)
    area.unmount()
    with pytest.raises(StagingNotOurs, match="mount it"):
        take(area, ledger)
    assert area.owner() is None


def test_an_area_without_a_marker_and_with_unknown_files_is_not_taken(
    area: InMemoryStagingArea, ledger: InMemoryLedger
) -> None:
    stage(area, KEY)
    with pytest.raises(StagingNotOurs, match="files that this ledger does not know"):
        take(area, ledger)
    assert area.owner() is None


def test_what_an_earlier_version_staged_is_known_and_its_area_taken() -> None:
    rig = Rig()
    rig.staged_dataset(rig.archive())
    take(rig.staging, rig.ledger)
    assert rig.staging.owner() == rig.ledger.ownership.identity()


def test_an_empty_area_is_not_taken_where_the_ledger_has_files_in_staging() -> None:
    rig = Rig()
    rig.staged_dataset(rig.archive())
    rig.staging.unmount()
    with pytest.raises(StagingNotOurs, match="mount it"):
        take(rig.staging, rig.ledger)
    assert rig.staging.owner() is None
    adopt(rig.staging, rig.ledger)
    take(rig.staging, rig.ledger)


def test_an_area_that_another_process_marks_meanwhile_is_no_lost_one(
    area: InMemoryStagingArea, ledger: InMemoryLedger
) -> None:
    class Marked(InMemoryLedger):
        def has_marked(self, location: str) -> bool:
            area.mark(self.identity())
            return True

    take(area, Marked(lambda: START))
    assert area.owner() is not None


@pytest.mark.parametrize("former", [None, "another"])
def test_an_operator_may_have_an_area_adopted_whoever_s_it_was(
    area: InMemoryStagingArea, ledger: InMemoryLedger, former: str | None
) -> None:
    if former is not None:
        area.mark(former)
    assert adopt(area, ledger) == former
    take(area, ledger)
    assert area.owner() == ledger.ownership.identity()


CHANGES: list[Callable[[StagingArea], object]] = [
    lambda area: area.room(),
    lambda area: area.prepare(),
    lambda area: area.open_partial(KEY, 1).__enter__(),
    lambda area: area.discard_partial(KEY),
    lambda area: area.delete(KEY),
    lambda area: list(area.holdings()),
    lambda area: area.remove(next(area.holdings())),
    lambda area: area.commit(KEY, "no-such-token", "receipt"),
]
QUESTIONS: list[Callable[[StagingArea], object]] = [
    lambda area: area.partial_size(KEY, "no-such-token"),
    lambda area: area.staged_size(KEY, "no-such-token"),
    lambda area: area.open_staged(KEY, "no-such-token").__enter__(),
]


@pytest.mark.parametrize("ask", CHANGES + QUESTIONS)
@pytest.mark.parametrize("taken", [True, False], ids=["taken-by-another", "unmounted"])
def test_without_its_marker_an_area_is_not_changed_and_nothing_in_it_is_missing(
    area: InMemoryStagingArea, ask: Callable[[StagingArea], object], taken: bool
) -> None:
    area.mark("mine")
    owned = OwnedStaging(area, "mine")
    if taken:
        area.mark("another", anew=True)
        stage(area, KEY)
    else:
        area.unmount()
    before = list(area.holdings())
    with pytest.raises(StagingNotOurs):
        ask(owned)
    assert list(area.holdings()) == before


def test_what_is_missing_in_an_area_of_one_s_own_is_missing(area: InMemoryStagingArea) -> None:
    area.mark("mine")
    owned = OwnedStaging(area, "mine")
    assert owned.staged_size(KEY, "no-such-token") is None
    with pytest.raises(StagedFileMissing), owned.open_staged(KEY, "no-such-token"):
        pass


def test_a_marker_may_be_believed_for_a_while_but_not_where_something_is_missing(
    area: InMemoryStagingArea,
) -> None:
    seconds = [0.0]
    area.mark("mine")
    owned = OwnedStaging(area, "mine", 10.0, lambda: seconds[0])
    owned.delete(KEY)
    area.mark("another", anew=True)
    seconds[0] = 9.0
    owned.delete(KEY)
    with pytest.raises(StagingNotOurs):
        owned.staged_size(KEY, "no-such-token")
    seconds[0] = 10.0
    with pytest.raises(StagingNotOurs):
        owned.delete(KEY)


def test_an_area_that_goes_away_in_the_middle_of_a_look_is_not_taken_for_whole(
    area: InMemoryStagingArea,
) -> None:
    area.mark("mine")
    stage(area, KEY)
    holdings = OwnedStaging(area, "mine").holdings()
    next(holdings)
    area.unmount()
    with pytest.raises(StagingNotOurs):
        list(holdings)
