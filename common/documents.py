"""Validation of JSON values against pydantic models."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from common.errors import InputError

Document = TypeVar("Document", bound=BaseModel)


def check_fields(kind: type[Document], value: Any, place: str) -> Document:
    """Validate a JSON value.

    Args:
        kind: model of the document.
        value: JSON value.
        place: location of the value, for errors.

    Returns:
        The document.

    Raises:
        InputError: the value does not fit the model; the error names the place and the first wrong field.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        raise InputError(f"{place}, {path}" if path else place, first["input"], first["msg"]) from error
