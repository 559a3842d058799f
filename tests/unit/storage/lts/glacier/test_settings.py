"""The settings of archived objects in a bucket."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings

LEAST = {"kind": "s3_glacier", "bucket": "archive"}


def settings(**others: Any) -> S3GlacierSettings:
    return S3GlacierSettings.model_validate({**LEAST, **others})


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"key_template": "{archive_id.__class__}"}, "braces"),
        ({"key_template": "/{archive_id}"}, "must not begin"),
        ({"tier": "Fast"}, "Expedited"),
        ({"tier_by_size": {"Fast": 1}}, "tier_by_size"),
        ({"fallback_tier": "Expedited"}, "fallback_tier"),
        ({"days": 0}, "days"),
        ({"days": 1, "extend_before": 86_400}, "extend_before"),
        ({"catalogued_root": "archive"}, "absolute"),
        ({"access_key_id": "id"}, "secret_access_key"),
        ({"session_token": "t"}, "session_token"),
        ({"tapes": 5}, "tapes"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(others: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**others)


def test_the_secret_is_told_nowhere() -> None:
    shown = settings(access_key_id="id", secret_access_key="a-secret", session_token="a-token")
    assert "a-secret" not in repr(shown) + shown.model_dump_json()
    assert "a-token" not in repr(shown) + shown.model_dump_json()


@pytest.mark.parametrize(
    ("size", "tier"),
    [(0, "Expedited"), (99, "Expedited"), (100, "Standard"), (999, "Standard"), (1000, "Bulk")],
)
def test_the_tier_is_that_of_the_largest_size_reached(size: int, tier: str) -> None:
    chosen = settings(tier="Expedited", tier_by_size={"Bulk": 1000, "Standard": 100}).tier_for(size)
    assert chosen == tier
