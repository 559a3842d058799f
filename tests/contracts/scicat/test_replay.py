"""Whatever is called SciCat here answers as the real one was recorded to."""

import pytest

from stand_ins.scicat import RELEASES
from tests.contracts.scicat.replay import Replay
from tests.contracts.scicat.scenario import Scenario, scenarios
from tests.contracts.scicat.targets import is_replayable, target

REPLAYABLE = [one for one in scenarios() if one.exchanges and is_replayable(one)]


@pytest.mark.parametrize("scenario", REPLAYABLE, ids=lambda one: one.name)
def test_answers_as_recorded(scenario: Scenario) -> None:
    with target(scenario.profile, scenario.jobs, RELEASES[scenario.release]) as scicat:
        replay = Replay(scenario, scicat)
        found = replay.run()
    assert replay.replayed > 0
    assert not found, "\n".join(found)
