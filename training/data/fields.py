"""Choices about the data of a training, and hashes of its files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from models.batch_spec import parse_fields


class DataFields(BaseModel):
    """Choices by name. Each kind of data subclasses it with its own, all with defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Read choices.

        Args:
            fields: values by field.

        Raises:
            UnknownNameError: a field is unknown.
            BatchError: a value is not allowed.
        """
        return parse_fields(cls, fields, "data")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files, in hexadecimal."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for part in sorted(path.iterdir()):
        if part.is_file():
            digest.update(f"{part.name}\0{file_hash(part)}\n".encode())
    return digest.hexdigest()
