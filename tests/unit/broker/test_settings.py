import pytest
from pydantic import ValidationError

from scicat_retriever.broker.settings import BrokerSettings

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
