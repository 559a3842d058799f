"""The connection to RabbitMQ, with the queues as SciCat declares them. Its refusals become our errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.domain.errors import BrokerRefused, BrokerUnavailable, Failure

ANSWER_SECONDS = 30.0
"""Seconds that the broker may take to accept a connection, and to confirm a message."""
CLOSE_SECONDS = 5.0
"""Seconds that closing the connection may take."""
HEARTBEAT_SECONDS = 20
"""Seconds between two heartbeats; a broker that vanished without a word is noticed after three of them."""
CODE_HEADER, MESSAGE_HEADER = "retriever-code", "retriever-message"
_ADVICE = {
    "PRECONDITION_FAILED": "the exchange or the queue exists with other properties than SciCat gives it (durable, a "
    "topic exchange, no arguments); delete it, or set another name in broker.exchange or broker.queue, and in SciCat",
    "ACCESS_REFUSED": "the user lacks a right; grant it with `rabbitmqctl set_permissions`",
    "RESOURCE_LOCKED": "another connection has the queue for itself alone; end it",
}
"""Advice, by the constant that begins RabbitMQ's words (AMQP 0-9-1, reply codes)."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """An open connection whose queues are there.

    Attributes:
        connection: The connection.
        channel: Its channel; takes at most `prefetch` messages, confirms what is published.
        queue: The queue of jobs.
        parked_queue: The name of the queue for messages that are no jobs.
    """

    connection: AbstractConnection
    channel: AbstractChannel
    queue: AbstractQueue
    parked_queue: str

    async def park(self, message: AbstractIncomingMessage, failure: Failure) -> None:
        """Park a copy of a message, with the reason in its headers; the broker has confirmed it on return.

        Raises:
            aio_pika's errors: The broker did not take the copy.
        """
        copy = aio_pika.Message(
            message.body,
            headers={CODE_HEADER: failure.code, MESSAGE_HEADER: _fit_for_a_header(failure.message)},
            content_type=message.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        exchange = self.channel.default_exchange
        await exchange.publish(copy, self.parked_queue, mandatory=True, timeout=ANSWER_SECONDS)


@asynccontextmanager
async def open_inbox(settings: BrokerSettings) -> AsyncIterator[Inbox]:
    """Connect, and declare exchange, queue and binding just as SciCat does, so that either may come first.

    Raises:
        BrokerRefused: The broker refuses the account, the virtual host or the queues.
        BrokerUnavailable: The broker does not answer.
    """
    with named_refusals(settings):
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await _connect(settings)
    try:
        with named_refusals(settings):
            async with asyncio.timeout(ANSWER_SECONDS):
                inbox = await _declare(connection, settings)
        yield inbox
    finally:
        # What is not acknowledged is delivered again, however the connection ends.
        with suppress(*CONNECTION_EXCEPTIONS, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.close()


async def _connect(settings: BrokerSettings) -> AbstractConnection:
    context = ssl.create_default_context(cafile=settings.ca_bundle) if settings.encrypted else None
    return await aio_pika.connect(
        settings.url.get_secret_value(),
        ssl_context=context,
        heartbeat=HEARTBEAT_SECONDS,
        name="scicat-retriever",
    )


async def _declare(connection: AbstractConnection, settings: BrokerSettings) -> Inbox:
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    await channel.set_qos(prefetch_count=settings.prefetch)
    exchange = await channel.declare_exchange(settings.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(settings.queue, durable=True)
    await queue.bind(exchange, settings.binding_key)
    await channel.declare_queue(settings.parked_queue, durable=True)
    return Inbox(connection, channel, queue, settings.parked_queue)


@contextmanager
def named_refusals(settings: BrokerSettings) -> Iterator[None]:
    """Turn errors of the connection to the broker into `BrokerRefused` or `BrokerUnavailable`."""
    try:
        yield
    except TimeoutError:
        raise BrokerUnavailable(
            f"RabbitMQ at {settings.address} does not answer within {ANSWER_SECONDS:.0f} s"
        ) from None
    except CONNECTION_EXCEPTIONS as error:
        advice = _refusal(error, settings)
        words = " ".join(str(error).split())
        if advice is None:
            raise BrokerUnavailable(f"RabbitMQ at {settings.address} cannot be used now: {words}") from None
        raise BrokerRefused(f"RabbitMQ at {settings.address}: {advice}. It says: {words}") from None


def _refusal(error: BaseException, settings: BrokerSettings) -> str | None:
    """Say what the operator must do, where trying again would not help; None where it may help."""
    match error:
        case ProbableAuthenticationError() | AuthenticationError():
            return "it refuses the user name or the password; correct broker.url"
        case InvalidFrameError() if "Connection.OpenOk" in str(error):
            # The library does not pass on why the broker closed when asked for the virtual host.
            return (
                f"it does not let the user into the virtual host {settings.vhost}; create it, give the user rights "
                "in it, or correct the path of broker.url"
            )
        case InvalidFrameError() | IncompatibleProtocolError():
            return "what answers there is no RabbitMQ; correct host and port in broker.url"
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "TLS cannot be set up; check amqp or amqps and the port in broker.url, and broker.ca_bundle"
    if isinstance(error, FileNotFoundError | PermissionError) and settings.ca_bundle is not None:
        return f"the file {settings.ca_bundle} cannot be read; correct broker.ca_bundle"
    return _ADVICE.get(str(error).split(" ")[0])


def _fit_for_a_header(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
