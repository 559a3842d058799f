"""The seal itself: what goes in comes out, and nothing else is opened."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
    WorkflowSerializationContext,
)

from scicat_retriever.workflow.engine.seal import Seal, SealKey, is_refused

OLD, NEW, OTHERS = (SealKey.of(letter * 32) for letter in "abc")
FLOW = WorkflowSerializationContext("default", "retrieve-dataset-p")
STEP = ActivitySerializationContext(
    "default", "5", "plan_dataset", "q", "retrieve-dataset-p", None, is_local=False
)

payloads = st.builds(
    Payload,
    metadata=st.dictionaries(st.text(max_size=8), st.binary(max_size=8), max_size=3),
    data=st.binary(),
)
contexts: st.SearchStrategy[SerializationContext] = st.one_of(
    st.builds(WorkflowSerializationContext, st.text(max_size=3), st.text(max_size=3)),
    st.builds(
        ActivitySerializationContext,
        st.text(max_size=3),
        st.none(),
        st.text(max_size=3),
        st.none(),
        st.text(max_size=3),
        st.none(),
        st.just(False),
    ),
)


def sealed(payload: Payload, key: SealKey = OLD, about: SerializationContext = FLOW) -> Payload:
    (found,) = asyncio.run(Seal([key]).with_context(about).encode([payload]))
    return found


def opened(payload: Payload, *keys: SealKey, about: SerializationContext = FLOW) -> Payload:
    (found,) = asyncio.run(Seal(keys or [OLD]).with_context(about).decode([payload]))
    return found


@given(st.lists(payloads, max_size=3), contexts)
def test_what_was_sealed_comes_out_as_it_went_in(many: list[Payload], about: SerializationContext) -> None:
    seal = Seal([OLD]).with_context(about)
    assert asyncio.run(seal.decode(asyncio.run(seal.encode(many)))) == many


@given(st.binary(min_size=16))
def test_nothing_of_what_was_sealed_can_be_read(data: bytes) -> None:
    assert data not in sealed(Payload(data=data)).data


@given(payloads, st.data())
def test_what_was_changed_by_one_bit_is_refused(payload: Payload, data: st.DataObject) -> None:
    changed = bytearray((whole := sealed(payload)).data)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert is_refused(opened(Payload(metadata=whole.metadata, data=bytes(changed))))


@given(payloads, st.data())
def test_what_was_cut_short_is_refused(payload: Payload, data: st.DataObject) -> None:
    whole = sealed(payload)
    length = data.draw(st.integers(0, len(whole.data) - 1))
    assert is_refused(opened(Payload(metadata=whole.metadata, data=whole.data[:length])))


@given(payloads)
def test_what_was_never_sealed_is_refused_and_nothing_of_it_is_left(payload: Payload) -> None:
    refused = opened(payload)
    assert is_refused(refused)
    assert refused.data == b""


@given(contexts, contexts)
def test_what_was_sealed_for_one_flow_or_step_is_refused_by_another(
    one: SerializationContext, other: SerializationContext
) -> None:
    payload = Payload(data=b"x")
    assert is_refused(opened(sealed(payload, about=one), about=other)) == (one != other)


def test_a_step_is_known_by_its_flow_and_its_name_whatever_its_number_and_queue() -> None:
    as_flows_know_it = dataclasses.replace(STEP, activity_id=None, activity_task_queue=None)
    assert opened(sealed(Payload(data=b"x"), about=as_flows_know_it), about=STEP).data == b"x"


@pytest.mark.parametrize("about", [FLOW, STEP])
def test_while_keys_are_changed_what_the_old_one_sealed_is_opened(about: SerializationContext) -> None:
    before = sealed(Payload(data=b"x"), OLD, about)
    assert opened(before, NEW, OLD, about=about).data == b"x"
    (after,) = asyncio.run(Seal([NEW, OLD]).with_context(about).encode([Payload(data=b"y")]))
    assert opened(after, OLD, NEW, about=about).data == b"y"
    assert is_refused(opened(before, NEW, about=about))


def test_what_another_service_sealed_is_refused() -> None:
    assert is_refused(opened(sealed(Payload(data=b"x"), OTHERS), NEW, OLD))


def test_a_flow_of_a_schedule_can_be_given_the_result_of_the_one_before() -> None:
    before, now = (
        WorkflowSerializationContext("default", f"retriever-reconcile-2026-12-01T10:20:{second}Z")
        for second in (48, 49)
    )
    assert opened(sealed(Payload(data=b"x"), about=before), about=now).data == b"x"
    assert is_refused(opened(sealed(Payload(data=b"x"), about=before), about=FLOW))


def test_a_key_is_named_without_telling_anything_of_it() -> None:
    text = "a" * 32
    assert text not in repr(Seal([SealKey.of(text)])) + repr(SealKey.of(text))
    assert SealKey.of(text).id == SealKey.of(text).id != NEW.id


def test_two_seals_of_the_same_are_not_the_same() -> None:
    assert sealed(Payload(data=b"x")) != sealed(Payload(data=b"x"))


def test_a_seal_without_keys_is_none() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        Seal([])


def test_the_plain_converter_makes_nothing_of_what_was_sealed() -> None:
    with pytest.raises(KeyError):
        DataConverter.default.payload_converter.from_payload(sealed(Payload(data=b"x")))
