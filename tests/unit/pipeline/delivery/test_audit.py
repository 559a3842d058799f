"""Downloads are forgotten when they are old."""

from __future__ import annotations

from datetime import timedelta

from scicat_retriever.pipeline.delivery import audit
from scicat_retriever.ports.downloads import Download, DownloadEnd
from tests.unit.pipeline.rig import Rig

KEPT = timedelta(days=400)


def downloads(rig: Rig, count: int) -> list[Download]:
    now = rig.clock()
    return [
        Download(f"{now} {each}", "link", "all.zip", 0, 9, now, now, None, 10, DownloadEnd.WHOLE)
        for each in range(count)
    ]


def test_a_look_forgets_what_is_older_than_it_is_kept_and_nothing_else() -> None:
    rig = Rig()
    rig.ledger.downloads.note(downloads(rig, audit.BATCH + 1))
    rig.clock.advance(KEPT)
    assert audit.forget_old(KEPT, rig.tools) == 0
    rig.ledger.downloads.note(downloads(rig, 3))
    rig.clock.advance(timedelta(seconds=1))
    assert audit.forget_old(KEPT, rig.tools) == audit.BATCH + 1
    assert len(rig.ledger.downloads.find(limit=10)) == 3


def test_a_look_forgets_so_many_and_the_next_one_goes_on() -> None:
    rig = Rig()
    rig.ledger.downloads.note(downloads(rig, audit.MOST + 7))
    rig.clock.advance(KEPT + timedelta(seconds=1))
    assert audit.forget_old(KEPT, rig.tools) == audit.MOST
    assert audit.forget_old(KEPT, rig.tools) == 7
