"""The folder that a fitted ensemble is saved as: a manifest, and parts whose sizes and SHA-256 it states.

Arrays are safetensors, trees are the formats of their libraries. Nothing is a pickle, so loading runs no code.
"""

import hashlib
import json
import re
from collections.abc import Mapping
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

FORMAT = 3
"""Raised whenever an older program could not read what a newer one writes."""
MANIFEST = "manifest.json"
ARRAYS = "arrays.safetensors"
PART = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_]+)+")


def save_artifact(folder: Path, manifest: Mapping[str, Any], state: State) -> None:
    """Write the folder beside its place and then rename it. Replaces an artifact that was there, and nothing else."""
    check_replaceable(folder)
    arrays, copies = _distinct({name: np.asarray(array, order="C") for name, array in sorted(state.arrays.items())})
    parts = {ARRAYS: save(arrays)} | {name.replace("/", "-"): blob for name, blob in state.blobs.items()}
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
    """Raise `ArtifactError` unless an artifact can be written there: nothing, or an artifact and nothing else."""
    check_new_folder(folder)
    if not folder.exists():
        return
    try:
        ours = {MANIFEST, *_read_manifest(folder)["parts"]}
    except (ArtifactError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder} exists and is no artifact: not overwritten") from error
    foreign = sorted({path.name for path in folder.iterdir()} - ours)
    if foreign:
        raise ArtifactError(f"{folder} holds {foreign[0]}, which is no part of the artifact: not overwritten")


def load_artifact(folder: Path) -> tuple[dict[str, Any], State]:
    """Manifest and state of a saved ensemble.

    Raises `ArtifactError` with the reason unless every byte is what was saved: a missing, additional or altered part,
    an unknown format, a manifest that is not its own.
    """
    manifest = _read_manifest(folder)
    if manifest.get("format") != FORMAT:
        found = shortened(manifest.get("format"))
        raise ArtifactError(f"{folder}: format {found} is unknown; this version reads format {FORMAT}")
    if manifest.get("manifest_sha256") != _manifest_hash(manifest):
        raise ArtifactError(f"{folder}: {MANIFEST} was altered: its own SHA-256 does not fit")
    parts = _checked_parts(folder, manifest.get("parts"))
    try:
        arrays: dict[str, NDArray[Any]] = load(parts.pop(ARRAYS))
        arrays |= {name: arrays[original] for name, original in manifest["copies"].items()}
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, SafetensorError) as error:
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
    """Each array once, and under which other name the rest are: combiners have members in common."""
    originals: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    copies: dict[str, str] = {}
    for name, array in arrays.items():
        original = originals.setdefault((str(array.dtype), array.shape, array.tobytes()), name)
        if original != name:
            copies[name] = original
    return {name: array for name, array in arrays.items() if name not in copies}, copies


def _checked_parts(folder: Path, stated: Any) -> dict[str, bytes]:
    if not isinstance(stated, dict) or not all(PART.fullmatch(name) for name in stated):
        raise ArtifactError(f"{folder}: {MANIFEST} names parts that are not plain file names")
    found = {path.name for path in folder.iterdir()} - {MANIFEST}
    if missing := sorted(set(stated) - found):
        raise ArtifactError(f"{folder}: parts are missing: {', '.join(missing)}")
    if extra := sorted(found - set(stated)):
        raise ArtifactError(f"{folder}: files that the manifest does not name: {', '.join(extra)}")
    parts: dict[str, bytes] = {}
    for name, expected in stated.items():
        try:
            part = read_file(folder / name, name)
        except (InputError, OSError) as error:
            raise ArtifactError(f"{folder}: {name} cannot be read ({error})") from error
        if {"bytes": len(part), "sha256": _sha256(part)} != expected:
            raise ArtifactError(f"{folder}: {name} was altered: its size or SHA-256 is not the manifest's")
        parts[name] = part
    return parts


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _manifest_hash(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return _sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())
