"""Values of payloads that `seal` has opened, and what becomes of payloads that it refused.

| refused | what happens |
| --- | --- |
| the arguments of a flow | the flow fails at once, before its first step |
| the arguments of a step | the step fails before it does anything |
| a signal | it is dropped, the flow goes on |
| what a step gave, or why it failed | the flow takes that step again (`answers`) |
| what a step remembered (heartbeat) | the next attempt begins anew |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    PayloadConverter,
    SerializationContext,
)
from temporalio.exceptions import ApplicationError

from scicat_retriever.workflow.engine.seal import Seal, SealKey, is_refused

FORGED = "SealBroken"
"""The type of the errors that stand for refused payloads."""
_MADE_BY_OTHERS = "application_failure_info"
"""The kind of failure that anybody can have the engine record; the engine itself makes all other kinds."""


class Forged:
    """An argument or a result of a step that comes from somebody else."""


class ValuesOfOurs(DefaultPayloadConverter):
    """The default converter, which makes no value of a refused payload.

    Args:
        of_step: Whether the payloads are about a step; set by the SDK through `with_context`.
    """

    def __init__(self, *, of_step: bool = False) -> None:
        super().__init__()
        self._of_step = of_step

    def with_context(self, context: SerializationContext) -> Self:
        """Give a converter that knows whether it is about a step."""
        return type(self)(of_step=isinstance(context, ActivitySerializationContext))

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Convert payloads to values.

        If one payload of a step was refused, all its values are `Forged`, and the caller decides what that
        means; details that an attempt before remembered are empty then.

        Raises:
            ApplicationError: A payload was refused that is not about a step. A flow with such arguments ends
                by it.
        """
        if not any(map(is_refused, payloads)):
            return super().from_payloads(payloads, type_hints)
        if not self._of_step:
            raise forged()
        # Arguments and answers of steps have types. What has none is what an attempt before it remembered.
        return [] if type_hints is None else [Forged()] * len(payloads)


class FailuresOfOurs(DefaultFailureConverter):
    """The failure converter that seals the words of failures, and believes none that are not sealed."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """Convert a failure; one that is not ours becomes one of the type `FORGED`, without its words."""
        kind = failure.WhichOneof("failure_info")
        if kind in (None, _MADE_BY_OTHERS) and not _is_ours(failure):
            return forged()
        return super().from_failure(failure, payload_converter)


def _is_ours(failure: Failure) -> bool:
    said = [*failure.application_failure_info.details.payloads, failure.encoded_attributes]
    return failure.HasField("encoded_attributes") and not any(map(is_refused, said))


def forged() -> ApplicationError:
    """Make the error that stands for a refused payload; it is not repeated."""
    return ApplicationError("it was not sealed by this service", type=FORGED, non_retryable=True)


@dataclasses.dataclass(frozen=True)
class SealingConverter(DataConverter):
    """The SDK's converter with the seal, which follows no reference to a payload that is kept elsewhere.

    The SDK raises at such a reference where no place for payloads is configured, before it asks the codec. A
    signal with such a reference would hold up its flow for ever. Here the reference is given to the codec,
    which refuses it as it refuses all that is not sealed.
    """

    async def _decode_reference_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def _external_retrieve_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


def sealing_converter(keys: Sequence[str]) -> DataConverter:
    """Make the converter for the client of a process of the service.

    Args:
        keys: The texts that the keys are made from: the first seals, all open. Without keys it is the SDK's
            own converter, which takes everything: for tests alone.
    """
    if not keys:
        return DataConverter.default
    return SealingConverter(
        payload_converter_class=ValuesOfOurs,
        payload_codec=Seal([SealKey.of(text) for text in keys]),
        failure_converter_class=FailuresOfOurs,
    )
