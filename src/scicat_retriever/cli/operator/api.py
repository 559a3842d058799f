"""Requests to the API of a running service."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import quote

import typer

from scicat_retriever.cli.operator.printing import printable
from scicat_retriever.http_api.tokens import Token, most_capable
from scicat_retriever.settings import CONFIG_VARIABLE, Settings

if TYPE_CHECKING:
    import httpx2

TIMEOUT = 60.0
"""Seconds that the API may take to answer."""
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar=CONFIG_VARIABLE,
        help="The settings' file; tells where the API is. Default: retriever.toml in this folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
LoadSettings = Callable[[Path | None], Settings]


@dataclass(frozen=True, slots=True)
class Api:
    """The API of a running service, where its settings say that it is.

    Attributes:
        load: Reads the settings, or ends the program with a message.
        transport: Carries requests in place of the network.
    """

    load: LoadSettings
    transport: httpx2.BaseTransport | None = None

    def ask(
        self,
        config: Path | None,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | int] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:  # noqa: ANN401
        """Send a request and give the answer's JSON; where there is none, say why and end the program with 1.

        The request is sent with the token of the settings that may do most: one of scope `operate`, else
        `read`, else `intake`.

        Args:
            config: The settings' file, if one was named.
            method: The HTTP method.
            path: The path that follows `/api/v1`.
            body: The body, sent as JSON; None sends none.
            query: The query.
            timeout: Seconds that the answer may take.
        """
        # Deferred: most processes of the service ask no API.
        import httpx2

        settings = self.load(config)
        url = settings.api.local_url
        token = most_capable(settings.api.all_tokens, datetime.now(UTC))
        if token is None:
            _end("every token of the settings has expired: set another one in an [[api.token]]")
        headers = {"Authorization": f"Bearer {token.secret}"}
        try:
            with httpx2.Client(
                transport=self.transport, headers=headers, timeout=timeout, trust_env=False
            ) as client:
                answer = client.request(method, f"{url}/api/v1{path}", params=query, json=body)
        except httpx2.HTTPError as error:
            _end(f"the API at {url} does not answer ({type(error).__name__})")
        if not answer.is_success:
            why = _why(answer)
            if answer.status_code in {401, 403}:
                why += f". {_sent(token, settings.api.all_tokens, config)}"
            _end(why)
        try:
            return answer.json()
        except ValueError:
            _end(f"what answers at {url} is not this service's API")


def segment(name: str) -> str:
    """Write a name so that it is one segment of a path."""
    return quote(name, safe="")


def job_segment(job: str) -> str:
    """Write a job's id as one segment of a path; end the program if it is an id that no path can name."""
    if not job or "/" in job:
        _end("no such job was ever posted here")
    return segment(job)


def _end(why: str) -> NoReturn:
    typer.echo(f"retriever: {printable(why)}", err=True)
    raise SystemExit(1)


def _sent(token: Token, all_tokens: Collection[Token], config: Path | None) -> str:
    """Say which token an operator's command was refused with, and what helps.

    The API's own words speak to its clients, not to operators.
    """
    file = config or Path("retriever.toml")
    ended = ", ".join(f"'{each.name}'" for each in all_tokens if not each.is_valid(datetime.now(UTC)))
    expired = f" (expired: {ended})" if ended else ""
    return (
        f"Sent was token '{token.name}' of {file}{expired}; use the settings of the running service, with an [[api.token]] "
        "of scope operate"
    )


def _why(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the API answers {answer.status_code}"
