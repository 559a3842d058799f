"""RabbitMQ."""

from __future__ import annotations

from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.settings import Settings, SettingsInvalid


def require_broker(settings: Settings) -> BrokerSettings:
    """Give the broker's settings.

    Raises:
        SettingsInvalid: The settings have no broker.
    """
    if settings.broker is None:
        raise SettingsInvalid(
            "broker.url is missing: add a section [broker] to retriever.toml, or set RETRIEVER_BROKER__URL, to "
            "consume jobs from RabbitMQ"
        )
    return settings.broker
