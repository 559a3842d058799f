"""What a section of the settings is: for the adapters, and for the tree that holds all sections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from scicat_retriever.domain.foreign_text import is_bearer_token


def _fit_for_a_header(token: SecretStr) -> SecretStr:
    if not is_bearer_token(token.get_secret_value()):
        raise ValueError("must be one word of printable ASCII")
    return token


BearerToken = Annotated[SecretStr, AfterValidator(_fit_for_a_header)]
"""A token that another service gave out, and that is sent to it in a header."""


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values never change, and no complaint repeats them.

    A section takes over policies (`domain.policy`) by inheriting them: their choices are its keys, with the
    same bounds, defaults and meanings; and it is handed to whatever goes by such a policy. A policy's
    `__post_init__` checks what is set here, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401 - pydantic's own
        """Give pydantic the defaults and meanings of the choices; types and bounds it finds by itself."""
        super().__init_subclass__(**options)
        for policy in _policies(cls):
            for each in dataclasses.fields(policy):
                if each.name not in cls.__annotations__:
                    setattr(cls, each.name, Field(_default(each), **each.metadata))

    @model_validator(mode="after")
    def _policies_hold(self) -> Self:
        for policy in _policies(type(self)):
            if check := vars(policy).get("__post_init__"):
                check(self)
        return self


def _policies(section: type[Section]) -> Iterator[type[Any]]:
    """Give the policies that a section takes over."""
    for each in section.__mro__:
        if "__dataclass_fields__" in vars(each):
            yield each


def _default(choice: dataclasses.Field[Any]) -> Any:  # noqa: ANN401 - whatever its type is
    if choice.default_factory is not dataclasses.MISSING:
        return choice.default_factory()
    return choice.default
