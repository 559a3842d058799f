"""S3 Glacier stores under test, over two servers."""

from __future__ import annotations

import time

import pytest

from scicat_retriever.storage.lts.glacier.store import S3Glacier
from tests.contracts.lts.glacier_settings import settings
from tests.contracts.test_long_term_store import StoreRig
from tests.integration.glacier_server import GlacierServer
from tests.integration.ministack import Ministack
from tests.integration.tcp_proxy import TcpProxy

_RESTORE_SECONDS = 60


class MinistackRig(StoreRig):
    """A bucket of ministack, which delivers by itself and judges no rights."""

    def __init__(self, server: Ministack, proxy: TcpProxy) -> None:
        super().__init__()
        self._server, self._proxy = server, proxy
        self._bucket = server.new_bucket("archive")
        self.store = S3Glacier(settings(proxy.port, self._bucket))

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        self._server.client.put_object(
            Bucket=self._bucket,
            Key=archive_id,
            Body=content,
            StorageClass="GLACIER" if on_tape else "STANDARD",
        )

    def deliver(self, archive_id: str) -> None:
        deadline = time.monotonic() + _RESTORE_SECONDS
        while "false" not in self._server.client.head_object(Bucket=self._bucket, Key=archive_id)["Restore"]:
            assert time.monotonic() < deadline, "ministack did not restore it in time"
            time.sleep(0.05)

    def forbid(self, archive_id: str) -> None:
        pytest.skip("ministack lets everybody read everything")

    def go_away(self) -> None:
        self._proxy.to_client = lambda _: None
        self._proxy.close()


class GlacierServerRig(StoreRig):
    """The small server."""

    def __init__(self, server: GlacierServer, proxy: TcpProxy) -> None:
        super().__init__()
        self._server, self._proxy = server, proxy
        self.store = S3Glacier(settings(proxy.port))

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        self._server.put(archive_id, content, "DEEP_ARCHIVE" if on_tape else "STANDARD")

    def deliver(self, archive_id: str) -> None:
        self._server.deliver(archive_id)

    def forbid(self, archive_id: str) -> None:
        self._server.objects[archive_id].forbidden = True

    def go_away(self) -> None:
        self._proxy.to_client = lambda _: None
        self._proxy.close()
