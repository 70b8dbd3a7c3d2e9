"""JSON values from outside as documents of a stated form."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from common.errors import InputError

Document = TypeVar("Document", bound=BaseModel)


def check_fields(kind: type[Document], value: Any, place: str) -> Document:
    """Read a JSON value as a document of that kind. Raises `InputError` that names the place and the field."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        raise InputError(f"{place}, {path}" if path else place, first["input"], first["msg"]) from error
