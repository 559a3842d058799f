"""Bodies of requests: read only after the token was checked, and no more of them than allowed.

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
        JobTooLarge: The body is longer than allowed; the rest is not read.
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
        absent: The body that an empty one stands for; by default a body must be there.

    Raises:
        JobTooLarge: It is longer than allowed.
        RequestValidationError: The body is no such object.
    """
    body = await bounded_body(request)
    try:
        return model.model_validate_json(body or absent)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None


def documented_body(model: type[BaseModel], *, required: bool) -> dict[str, Any]:
    """Describe the body that `body_as` reads, for the OpenAPI document.

    The document's `components` must hold the model.
    """
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}
