"""What a process imports is part of its start: nothing that its settings do not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

OF_OTHERS = {
    "aio_pika",
    "boto3",
    "botocore",
    "httpcore2",
    "psycopg",
    "scicat_retriever.storage.lts.command.store",
    "scicat_retriever.storage.lts.glacier.store",
    "scicat_retriever.storage.lts.wlcg.store",
}
"""Of the broker, S3, PostgreSQL, and other long-term stores than a share."""
OF_THE_API = {"fastapi", "starlette", "uvicorn"}
OF_THE_LEDGER = {"alembic", "sqlalchemy"}
OF_THE_ENGINE = {"cryptography", "google.protobuf", "temporalio"}
LOADED = """
import json, os, sys
from pathlib import Path
from scicat_retriever.cli import main
from scicat_retriever.bootstrap.data_folder import make_data_folder
from scicat_retriever.bootstrap.keys import make_engine_key, make_link_key
from scicat_retriever.settings import load_settings
settings = load_settings(Path(sys.argv[1]))
{use}
json.dump(sorted(sys.modules), sys.stdout)
sys.stdout.flush()
os._exit(0)
"""
OPENED = """
from scicat_retriever.bootstrap.ledger import build_ledger
make_data_folder(settings)
make_link_key(settings)
make_engine_key(settings)
ledger = build_ledger(settings)
"""
SUPERVISOR = "import scicat_retriever.processes.supervisor"
API = f"""
import scicat_retriever.processes.api
from scicat_retriever.bootstrap.links import build_links
from scicat_retriever.bootstrap.staging import build_staging
from scicat_retriever.http_api.app import create_app
{OPENED}
build_staging(settings, ledger)
build_links(settings)
create_app(None)
"""
WORKER = f"""
import scicat_retriever.processes.worker
from scicat_retriever.bootstrap.toolbox import build_toolbox
from scicat_retriever.bootstrap.worker import worker_limits
{OPENED}
build_toolbox(settings)
worker_limits(settings)
"""


def loaded(folder: Path, use: str) -> set[str]:
    """The modules of a process of a service with a share, a folder for staging, and a ledger in SQLite."""
    file = folder / "retriever.toml"
    file.write_text(
        f'data = "{folder / "data"}"\n'
        '[api]\ntokens = ["a-token-of-enough-length"]\n'
        '[catalogue]\nurl = "http://127.0.0.1:9"\ntoken = "another-token"\n'
        f'[lts]\nroot = "{folder / "lts"}"\n'
        f'[staging]\nroot = "{folder / "staging"}"\nkeep_free_bytes = 0\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(use=use), str(file)], stdout=subprocess.PIPE, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("use", "of_use", "of_none"),
    [
        ("", "typer", OF_OTHERS | OF_THE_API | OF_THE_LEDGER | OF_THE_ENGINE),
        (
            SUPERVISOR,
            "scicat_retriever.processes.part",
            OF_OTHERS | OF_THE_API | OF_THE_LEDGER | OF_THE_ENGINE,
        ),
        (API, "fastapi", (OF_OTHERS - {"httpcore2"}) | {"scicat_retriever.workflow.worker"}),
        (WORKER, "temporalio", (OF_OTHERS - {"httpcore2"}) | OF_THE_API),
    ],
    ids=["a command", "supervisor", "api", "worker"],
)
def test_a_process_imports_nothing_that_it_does_not_use(
    tmp_path: Path, use: str, of_use: str, of_none: set[str]
) -> None:
    found = loaded(tmp_path, use)
    assert of_use in found
    assert sorted(found & of_none) == []
