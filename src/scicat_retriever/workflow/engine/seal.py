"""The seal: values that flows and steps hand each other are enciphered before the engine has them.

The engine does not authenticate: whoever reaches its port may start flows, send signals, and end steps. So
each payload is sealed (AES-256-GCM, NIST SP 800-38D) with a key that the service's own processes share, and
bound to the flow, and to the step, that it is about. A payload that was not sealed, or was sealed for another
flow or step, is never opened: it is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

SEALED, REFUSED = b"binary/retriever-sealed", b"binary/retriever-refused"
"""The encodings of a sealed payload, and of the payload in place of one that cannot be opened."""
_ENCODING, _KEY_ID = "encoding", "key"
_NONCE_BYTES = 12
_TIME_OF_SCHEDULE = re.compile(r"-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SealKey:
    """A key, made from a text that is hard to guess (HKDF, RFC 5869).

    Attributes:
        id: The key's name; tells nothing of the key.
        cipher: Seals and opens.
    """

    id: bytes
    cipher: AESGCM = field(repr=False)

    @classmethod
    def of(cls, text: str) -> SealKey:
        """Make the key from a text."""
        return cls(_derived(text, b"id", 8).hex().encode(), AESGCM(_derived(text, b"key", 32)))


def _derived(text: str, what: bytes, length: int) -> bytes:
    # The text has no less entropy than the key needs: it is random, and long (`settings`).
    info = b"scicat-retriever engine seal " + what
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(text.encode())


class Seal(PayloadCodec, WithSerializationContext):
    """Seals and opens payloads.

    Opening never raises: a signal that cannot be opened must not hold up the flow that it is sent to. A
    payload that cannot be opened becomes an empty payload of the encoding `REFUSED`, of which `sealed_values`
    makes no value.

    Args:
        keys: The first seals; all open, so that keys can be changed while flows run.
        about: What payloads are bound to; set by the SDK through `with_context`.
    """

    def __init__(self, keys: Sequence[SealKey], about: Sequence[str] = ()) -> None:
        if not keys:
            raise ValueError("a seal needs a key")
        self._keys = tuple(keys)
        self._about = tuple(about)

    def with_context(self, context: SerializationContext) -> Self:
        """Give the same seal, bound to the namespace and the flow, and to the step if it is about one.

        The step's id is left out: the SDK does not tell it to both sides.
        """
        about: tuple[str, ...] = ()
        match context:
            case ActivitySerializationContext():
                about = (context.namespace, context.workflow_id or "", "step", context.activity_type or "")
            case WorkflowSerializationContext():
                # A schedule's flows are named for their time, and each is given the result of the one before
                # it.
                about = (context.namespace, _TIME_OF_SCHEDULE.sub("", context.workflow_id), "flow")
            case _:
                pass
        return type(self)(self._keys, about)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal payloads."""
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open payloads; one that is not ours is replaced by one that says so (`is_refused`)."""
        return [self._opened(payload) or self._refused(payload) for payload in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        key, nonce = self._keys[0], os.urandom(_NONCE_BYTES)
        sealed = key.cipher.encrypt(nonce, payload.SerializeToString(), self._associated(key))
        return Payload(metadata={_ENCODING: SEALED, _KEY_ID: key.id}, data=nonce + sealed)

    def _opened(self, payload: Payload) -> Payload | None:
        key = next((each for each in self._keys if each.id == payload.metadata.get(_KEY_ID)), None)
        if key is None or payload.metadata.get(_ENCODING) != SEALED:
            return None
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(key.cipher.decrypt(nonce, sealed, self._associated(key)))
        except (InvalidTag, ValueError, DecodeError):
            return None

    def _refused(self, payload: Payload) -> Payload:
        log.warning(
            "a payload is refused that was not sealed by this service for this flow and step: somebody else writes to the "
            "engine, or the processes of the service do not have the same engine.keys",
            about=self._about,
            encoding=payload.metadata.get(_ENCODING, b"")[:40].decode(errors="replace"),
        )
        return Payload(metadata={_ENCODING: REFUSED})

    def _associated(self, key: SealKey) -> bytes:
        # Lengths before the parts, so that no two lists give the same bytes.
        parts = [SEALED, key.id, *(part.encode() for part in self._about)]
        return b"".join(len(part).to_bytes(4) + part for part in parts)


def is_refused(payload: Payload) -> bool:
    """Say whether this is the payload that `Seal` puts in place of one that it cannot open."""
    return payload.metadata.get(_ENCODING) == REFUSED
