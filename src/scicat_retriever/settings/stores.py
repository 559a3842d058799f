"""The names of long-term stores in the settings."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field


def _store_name(value: str) -> str:
    if re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", value) is None:
        raise ValueError(
            "a store's name is of small letters and digits, with single hyphens or underscores between them"
        )
    return value


StoreName = Annotated[str, Field(max_length=60), AfterValidator(_store_name)]
"""The name of a store: the environment has no capitals, and takes two underscores for the next key."""


def section_of(store: str) -> str:
    """Give the section of the settings that describes the store with this name."""
    return store if store == "lts" else f"stores.{store}"
