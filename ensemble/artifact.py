"""File format of a fitted ensemble: a folder with a manifest and parts.

The manifest states the size and SHA-256 of every part. Arrays are stored as safetensors, models of other libraries in
the formats of those libraries, both compressed by gzip (`.gz`) or not. Nothing is a pickle, so that loading runs no
code.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.atomic_files import check_new_folder, write_folder
from common.errors import shortened
from common.files import read_file, read_json
from ensemble.combiners import State
from ensemble.errors import ArtifactError
from models import InputError

FORMAT = 4
"""Version of the format, incremented by every incompatible change."""
MANIFEST = "manifest.json"
ARRAYS = "arrays.safetensors"
COMPRESSED = ".gz"
MAX_PART_BYTES = 2**30
"""Largest size of an uncompressed part."""
UNREADABLE = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, TypeError, ValueError, zlib.error)
"""Errors of the standard library and NumPy on broken arrays."""
PART_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_]+)+")


def save_artifact(folder: Path, manifest: Mapping[str, Any], state: State) -> None:
    """Write an artifact atomically, replacing one that is there.

    Args:
        folder: path of the artifact.
        manifest: description of the ensemble, plain JSON.
        state: fitted state.

    Raises:
        ArtifactError: the folder holds anything else.
    """
    check_replaceable(folder)
    arrays, copies = _distinct({name: np.asarray(array, order="C") for name, array in sorted(state.arrays.items())})
    blobs = {name.replace("/", "-"): blob for name, blob in state.blobs.items()}
    parts = {name + COMPRESSED: gzip.compress(part, mtime=0) for name, part in ({ARRAYS: save(arrays)} | blobs).items()}
    content = {
        **manifest,
        "format": FORMAT,
        "copies": copies,
        "parts": {name: {"sha256": _sha256(part), "bytes": len(part)} for name, part in sorted(parts.items())},
    }
    content["manifest_sha256"] = _manifest_hash(content)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_folder(folder, {**parts, MANIFEST: text.encode()})


def check_replaceable(folder: Path) -> None:
    """Check that an artifact can be written to a folder.

    Args:
        folder: path of the artifact.

    Raises:
        ArtifactError: the folder exists and is not an artifact, or holds other files.
    """
    check_new_folder(folder)
    if not folder.exists():
        return
    try:
        own_files = {MANIFEST, *_read_manifest(folder)["parts"]}
    except (ArtifactError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder} exists and is no artifact: not overwritten") from error
    if foreign := sorted({path.name for path in folder.iterdir()} - own_files):
        raise ArtifactError(f"{folder} holds {foreign[0]}, which is no part of the artifact: not overwritten")


def load_artifact(folder: Path) -> tuple[dict[str, Any], State]:
    """Load an artifact.

    Args:
        folder: path of the artifact.

    Returns:
        The manifest and the fitted state.

    Raises:
        ArtifactError: a part is missing, additional or altered, the manifest is altered, or the format is unknown.
    """
    manifest = _read_manifest(folder)
    if manifest.get("format") != FORMAT:
        version = shortened(manifest.get("format"))
        raise ArtifactError(f"{folder}: format {version} is unknown; this version reads format {FORMAT}")
    if manifest.get("manifest_sha256") != _manifest_hash(manifest):
        raise ArtifactError(f"{folder}: {MANIFEST} was altered: its SHA-256 does not match")
    parts = _read_parts(folder, manifest.get("parts"))
    try:
        arrays: dict[str, NDArray[Any]] = load(parts.pop(ARRAYS))
        arrays |= {name: arrays[original] for name, original in manifest["copies"].items()}
    except (*UNREADABLE, SafetensorError) as error:
        raise ArtifactError(f"{folder}: {ARRAYS} cannot be read ({error})") from error
    return manifest, State(arrays, {name.replace("-", "/"): part for name, part in parts.items()})


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = read_json(folder / MANIFEST, MANIFEST)
    except (InputError, OSError) as error:
        raise ArtifactError(f"{folder}: no readable {error}") from error
    if not isinstance(manifest, dict):
        raise ArtifactError(f"{folder}: {MANIFEST} is not a JSON object")
    return manifest


def _distinct(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Deduplicate arrays, because combiners have estimators in common.

    Returns:
        The distinct arrays, and for each duplicate the name of its equal.
    """
    originals: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    copies: dict[str, str] = {}
    for name, array in arrays.items():
        original = originals.setdefault((str(array.dtype), array.shape, array.tobytes()), name)
        if original != name:
            copies[name] = original
    return {name: array for name, array in arrays.items() if name not in copies}, copies


def _decompressed(content: bytes) -> bytes:
    """Decompress a part.

    Raises:
        OSError: the content is not compressed by gzip.
        ValueError: the part is larger than `MAX_PART_BYTES`.
    """
    with gzip.GzipFile(fileobj=BytesIO(content)) as file:
        part = file.read(MAX_PART_BYTES + 1)
    if len(part) > MAX_PART_BYTES:
        raise ValueError(f"it is larger than {MAX_PART_BYTES} bytes")
    return part


def _read_parts(folder: Path, entries: Any) -> dict[str, bytes]:
    """Read the parts, compare them with the manifest's entries, and decompress them; names are those without `.gz`."""
    if not isinstance(entries, dict) or not all(PART_NAME.fullmatch(name) for name in entries):
        raise ArtifactError(f"{folder}: {MANIFEST} names parts that are not plain file names")
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if missing := sorted(set(entries) - present):
        raise ArtifactError(f"{folder}: parts are missing: {', '.join(missing)}")
    if extra := sorted(present - set(entries)):
        raise ArtifactError(f"{folder}: files that the manifest does not name: {', '.join(extra)}")
    parts: dict[str, bytes] = {}
    for name, expected in entries.items():
        try:
            part = read_file(folder / name, name)
        except (InputError, OSError) as error:
            raise ArtifactError(f"{folder}: {name} cannot be read ({error})") from error
        if {"bytes": len(part), "sha256": _sha256(part)} != expected:
            raise ArtifactError(f"{folder}: {name} was altered: its size or SHA-256 does not match the manifest")
        if name.removesuffix(COMPRESSED) in parts:
            raise ArtifactError(f"{folder}: {MANIFEST} names a part twice, compressed and not: {name}")
        try:
            parts[name.removesuffix(COMPRESSED)] = _decompressed(part) if name.endswith(COMPRESSED) else part
        except UNREADABLE as error:
            raise ArtifactError(f"{folder}: {name} cannot be read ({error})") from error
    return parts


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _manifest_hash(manifest: Mapping[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return _sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
