"""The table of long-term stores."""

from __future__ import annotations

from typing import get_args

import pytest

from scicat_retriever.storage.lts.kinds import KINDS, recall_policy
from scicat_retriever.storage.lts.store_kind import RecallSettings


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_the_name_that_its_section_says(name: str) -> None:
    assert get_args(KINDS[name].settings.model_fields["kind"].annotation) == (name,)


def test_the_first_kind_alone_may_be_left_unsaid() -> None:
    unsaid = [name for name, kind in KINDS.items() if not kind.settings.model_fields["kind"].is_required()]
    assert unsaid == [next(iter(KINDS))]


@pytest.mark.parametrize("name", KINDS)
def test_requests_are_collected_for_tapes_unless_the_operator_says_otherwise(name: str) -> None:
    section = KINDS[name].settings

    def collects(recalls: RecallSettings) -> bool:
        return recall_policy(section.model_construct(recalls=recalls)).collect

    assert collects(RecallSettings()) is (name != "s3_glacier")
    assert not collects(RecallSettings.model_validate({"collect": False}))
    assert collects(RecallSettings.model_validate({"collect": True}))
