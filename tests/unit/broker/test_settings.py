import asyncio

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from scicat_retriever.broker.consumer import JobConsumer
from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.domain.dataset import RetrieveJob

URL = "amqp://retriever:a-pass%2Fword@rabbit.example.org"


def settings(url: str = URL, **keys: object) -> BrokerSettings:
    return BrokerSettings.model_validate({"url": url, **keys})


def refusal(url: str = URL, **keys: object) -> str:
    with pytest.raises(ValidationError) as refused:
        settings(url, **keys)
    return str(refused.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://retriever:secret-word@rabbit", "must begin with amqp:// or amqps://"),
        ("amqp://rabbit/", "must name a user, a password and a host"),
        ("amqp://retriever@rabbit/", "must name a user, a password and a host"),
        ("amqp://retriever:@rabbit/", "must name a user, a password and a host"),
        ("amqp://retriever:secret-word@/", "must name a user, a password and a host"),
        ("amqp://retriever:secret-word@rabbit:port/", "cannot be read"),
        ("amqp://retriever:secret-word@rabbit/?verify=0", "must end before any '?'"),
        ("amqp://retriever:secret#word@rabbit/", "cannot be read|must name|must end"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(url: str, words: str) -> None:
    told = refusal(url)
    assert any(word in told for word in words.split("|"))
    assert "secret" not in told


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, "rabbit.example.org:5672, virtual host /"),
        (f"{URL}/", "rabbit.example.org:5672, virtual host /"),
        (f"{URL}:5673/%2F", "rabbit.example.org:5673, virtual host /"),
        (
            f"{URL.replace('amqp', 'amqps')}/archive%2Fone",
            "rabbit.example.org:5671, virtual host archive/one",
        ),
    ],
)
def test_the_address_is_shown_without_the_account(url: str, address: str) -> None:
    assert settings(url).address == address


def test_the_password_is_never_shown() -> None:
    for shown in (repr(settings()), str(settings()), settings().model_dump_json()):
        assert "a-pass" not in shown


@pytest.mark.parametrize("queue", ["", "two words", "amq.mine", "q" * 249])
def test_a_queue_that_cannot_be_made_is_refused(queue: str) -> None:
    assert "queue" in refusal(queue=queue)


def test_the_longest_queue_name_leaves_room_for_the_parked_one() -> None:
    assert len(settings(queue="q" * 248).parked_queue) == 255


def warnings_at_the_start(url: str) -> list[str]:
    """What a consumer says that is asked to stop before it connects."""

    async def begin() -> None:
        stop = asyncio.Event()
        stop.set()
        await JobConsumer(settings(url), judge=fail, accept=fail, refuse=fail).run(stop)

    def fail(_: object) -> RetrieveJob:
        raise AssertionError

    with capture_logs() as logs:
        asyncio.run(begin())
    assert "secret" not in str(logs)
    return [entry["event"] for entry in logs if entry["log_level"] == "warning"]


@pytest.mark.parametrize(
    "host", ["rabbit.example.org", "10.0.0.7", "[2001:db8::1]:5672", "localhost.example.org"]
)
def test_a_broker_elsewhere_without_tls_is_a_warning_at_the_start(host: str) -> None:
    (warning,) = warnings_at_the_start(f"amqp://retriever:secret-word@{host}/")
    assert "amqps://" in warning


@pytest.mark.parametrize(
    "url",
    [
        "amqps://retriever:secret-word@rabbit.example.org",
        "AMQPS://retriever:secret-word@rabbit.example.org",
        "amqp://retriever:secret-word@localhost:5673/",
        "amqp://retriever:secret-word@rabbit.localhost",
        "amqp://retriever:secret-word@127.0.0.1",
        "amqp://retriever:secret-word@127.8.0.1",
        "amqp://retriever:secret-word@[::1]:5672",
    ],
)
def test_a_broker_on_this_machine_or_with_tls_is_none(url: str) -> None:
    assert warnings_at_the_start(url) == []
