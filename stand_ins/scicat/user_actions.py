"""What a SciCat user does over HTTP: log in, and ask for datasets."""

from collections.abc import Iterable, Mapping
from typing import Literal

import httpx2

from stand_ins import local_http

Version = Literal["v3", "v4"]


def log_in(base_url: str, username: str, password: str | None = None) -> str:
    """Log in and give the token; the password of a default account need not be given."""
    credentials = {"username": username, "password": password or f"{username.lower()}-pw"}
    url = f"{base_url}/api/v3/auth/login"
    answer = local_http.post(url, json=credentials)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def submit_retrieve_job(
    base_url: str,
    pids: Iterable[str],
    *,
    token: str,
    owner_group: str = "group1",
    version: Version = "v4",
    files: Mapping[str, list[str]] | None = None,
) -> httpx2.Response:
    """Ask for datasets through SciCat's own job route and give its answer.

    Args:
        base_url: where SciCat is.
        pids: the datasets.
        token: of the user.
        owner_group: a group of the user (v4 only; v3 finds one).
        version: which of SciCat's interfaces to use.
        files: by pid, the wanted files; all of them where a pid is missing.
    """
    wanted = [{"pid": pid, "files": (files or {}).get(pid, [])} for pid in pids]
    body: dict[str, object]
    if version == "v4":
        body = {"type": "retrieve", "ownerGroup": owner_group, "jobParams": {"datasetList": wanted}}
    else:
        body = {"type": "retrieve", "jobParams": {}, "datasetList": wanted}
    headers = {"Authorization": f"Bearer {token}"}
    return local_http.post(
        f"{base_url}/api/{version}/jobs",
        json=body,
        headers=headers,
        timeout=60,
    )
