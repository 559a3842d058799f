"""What the regular looks do, each bound to its settings."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.ports.downloads import Download, DownloadEnd
from scicat_retriever.workflow.steps.lost_flows import LostFlows
from scicat_retriever.workflow.steps.regular_looks import RegularLooks
from tests.unit.pipeline.rig import Rig


def test_the_sweep_forgets_downloads_that_are_older_than_they_are_kept() -> None:
    rig = Rig()
    looks = RegularLooks(
        rig.tools,
        cast("LostFlows", None),  # is not asked by a sweep
        ("retrieve",),
        cast("FixityPace", None),
        undeliverable_kept=timedelta(days=30),
        downloads_kept=timedelta(days=400),
    )
    now = rig.clock()
    rig.ledger.downloads.note(
        [Download("id", "link", "all.zip", 0, 9, now, now, None, 10, DownloadEnd.WHOLE)]
    )
    rig.clock.advance(timedelta(days=400))
    looks.sweep_staging()
    assert len(rig.ledger.downloads.find()) == 1
    rig.clock.advance(timedelta(seconds=1))
    looks.sweep_staging()
    assert list(rig.ledger.downloads.find()) == []
