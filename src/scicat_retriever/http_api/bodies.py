"""Reading what is sent, no more of it than allowed, and only once the token was checked.

FastAPI itself reads a body to its end, however long it is, before it asks whether the request is authorized.
"""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from scicat_retriever.domain.errors import JobTooLarge
from scicat_retriever.http_api.service import service_of

M = TypeVar("M", bound=BaseModel)


async def bounded_body(request: Request) -> bytes:
    """Read the body.

    Raises:
        JobTooLarge: It is longer than allowed; the rest is not read.
    """
    most = service_of(request).max_body_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise JobTooLarge.than(most)
    return bytes(body)


async def body_as(request: Request, model: type[M], absent: bytes = b"") -> M:
    """Read the body as a JSON object of a model.

    Args:
        request: The request.
        model: The model.
        absent: What stands for a body that is not there; by default it must be there.

    Raises:
        JobTooLarge: It is longer than allowed.
        RequestValidationError: It is no such object.
    """
    body = await bounded_body(request)
    try:
        return model.model_validate_json(body or absent)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None


def documented_body(model: type[BaseModel], *, required: bool) -> dict[str, Any]:
    """Describe the body that `body_as` reads, for the OpenAPI document, whose `components` must hold the model."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}
