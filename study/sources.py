"""Sources of a study: fitted ensembles in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.errors import InputError, UnknownNameError
from common.files import read_json
from ensemble import Ensemble
from ensemble.artifact import MANIFEST
from ensemble.combiners import STRUCTURE
from ensemble.source import Source
from models import SearchSpace

ARTIFACTS = Path(__file__).resolve().parents[1] / "ensemble" / "artifacts"
"""Folder of the shipped ensembles."""


def source_names(space: SearchSpace[Any], ensembles_dir: Path = ARTIFACTS) -> tuple[str, ...]:
    """Return the names of the ensembles of a space that predict from structure, sorted: the possible sources."""
    folders = sorted(path.parent for path in ensembles_dir.glob(f"*/{MANIFEST}"))
    return tuple(folder.name for folder in folders if _is_source(read_json(folder / MANIFEST, MANIFEST), space))


def check_sources(names: Sequence[str], space: SearchSpace[Any], ensembles_dir: Path = ARTIFACTS) -> None:
    """Check that ensembles can be sources of a study.

    Args:
        names: names of the ensembles' folders.
        space: search space of the study.
        ensembles_dir: folder with one folder per ensemble.

    Raises:
        UnknownNameError: there is no such ensemble of the space, or it does not predict from structure.
    """
    known = source_names(space, ensembles_dir)
    for name in names:
        if not known:
            raise InputError("sources", name, f"nothing: {ensembles_dir} holds no ensemble of {space.name}")
        if name not in known:
            raise UnknownNameError("sources", name, known)


def load_sources(names: Sequence[str], space: SearchSpace[Any], ensembles_dir: Path = ARTIFACTS) -> tuple[Source, ...]:
    """Load the ensembles of a study's sources.

    Args:
        names: names of the ensembles' folders.
        space: search space of the study.
        ensembles_dir: folder with one folder per ensemble.

    Raises:
        UnknownNameError: there is no such ensemble of the space, or it does not predict from structure.
        ArtifactError: an ensemble cannot be read.
    """
    check_sources(names, space, ensembles_dir)
    return tuple(Ensemble.load(ensembles_dir / name).as_source() for name in names)


def _is_source(manifest: Any, space: SearchSpace[Any]) -> bool:
    if not isinstance(manifest, dict) or manifest.get("space") != space.name:
        return False
    return manifest.get("default", STRUCTURE) in manifest.get("combiners", ())
