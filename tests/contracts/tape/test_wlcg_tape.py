"""The long-term store's promises, kept over the WLCG Tape REST API in the dialects of the servers in use."""

from __future__ import annotations

import pytest

from stand_ins.tape.rest_server import Dialect
from tests.contracts.tape.conftest import MakeRig
from tests.contracts.tape.rig import WlcgRig
from tests.contracts.test_long_term_store import LongTermStoreContract

DIALECTS = {
    "dcache": Dialect(archiveinfo_limit=3, strict_keys=True, unsure=False),
    "eos": Dialect(progress="onDisk", on_tape=503),
    "storm": Dialect(on_tape=409, missing="NONE"),
}


class TestWlcgTape(LongTermStoreContract):
    @pytest.fixture(params=DIALECTS)
    def rig(self, request: pytest.FixtureRequest, make_rig: MakeRig) -> WlcgRig:
        return make_rig(DIALECTS[request.param])
