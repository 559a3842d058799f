"""S3 Glacier keeps the promises of every long-term store: on a real server, and on one that judges rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.lts.rig import GlacierServerRig, MinistackRig
from tests.contracts.test_long_term_store import LongTermStoreContract, StoreRig
from tests.integration.glacier_server import GlacierServer
from tests.integration.ministack import Ministack
from tests.integration.tcp_proxy import proxy_before

DELIVERS = "ministack delivers after two seconds, whether all were looked at or not"


class TestS3GlacierOnMinistack(LongTermStoreContract):
    @pytest.fixture
    def rig(self, ministack: Ministack) -> Iterator[StoreRig]:
        with proxy_before(ministack.port) as proxy:
            yield MinistackRig(ministack, proxy)

    def test_many_requests_return_though_no_tape_delivers(self, rig: StoreRig) -> None:
        pytest.skip(DELIVERS)

    def test_an_unusual_archive_id_on_tape_is_recalled(self, rig: StoreRig) -> None:
        pytest.skip(DELIVERS)


class TestS3GlacierOnASmallServer(LongTermStoreContract):
    @pytest.fixture
    def rig(self, glacier: GlacierServer) -> Iterator[StoreRig]:
        with proxy_before(glacier.port) as proxy:
            yield GlacierServerRig(glacier, proxy)
