"""Studies on a local folder: `study.json` and the append-only `observations.jsonl`.

Several processes may use a folder at once. An observation is on the disk when `observe` returns; a kill during a write
leaves an incomplete last line, which readers skip and the next writer removes.
"""

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from common.atomic_files import TEMPORARY_PREFIX, json_line, write_atomically
from common.errors import InputError
from common.files import check_file, parse_json, read_json
from ensemble.source import Source
from models import Architecture, SearchSpace, get_space
from study.definition import StudyDefinition
from study.documents import export_study, parse_definition, state_document
from study.observation import Observation
from study.parsing import parse_observation
from study.predictor import StudyPrediction, StudyPredictor
from study.quality import Quality, estimate_quality, quality_notes
from study.sources import ARTIFACTS, check_sources, load_sources
from study.suggestions import suggest

DEFINITION, OBSERVATIONS = "study.json", "observations.jsonl"


class LocalStudy:
    """Study on a folder. Construct one with `create` or `open`.

    Attributes:
        folder: the folder.
        definition: definition of the study.
        space: its search space.
    """

    def __init__(self, folder: Path, definition: StudyDefinition, ensembles_dir: Path = ARTIFACTS) -> None:
        self.folder = folder
        self.space: SearchSpace[Any] = get_space(definition.space, **definition.settings)
        self.definition = replace(definition, settings=self.space.settings)
        self._ensembles_dir = ensembles_dir
        self._predictor: StudyPredictor | None = None
        self._quality: Quality | None = None

    @classmethod
    def create(cls, folder: str | Path, definition: StudyDefinition, ensembles_dir: Path = ARTIFACTS) -> Self:
        """Create a study, or open the one that has the same definition.

        Args:
            folder: folder of the study; missing parents are created.
            definition: definition of the study.
            ensembles_dir: folder of the ensembles among which the sources are.

        Raises:
            InputError: the folder holds a study of another definition, or a source is unknown.
        """
        study = cls(Path(folder), definition, ensembles_dir)
        check_sources(definition.sources, study.space, ensembles_dir)
        study.folder.mkdir(parents=True, exist_ok=True)
        with study._lock():
            path = study.folder / DEFINITION
            if not path.exists():
                write_atomically(path, (json.dumps(study.definition.to_json(), indent=1) + "\n").encode())
        existing = cls.open(study.folder, ensembles_dir)
        for field, value in study.definition.to_json().items():
            if (found := existing.definition.to_json()[field]) != value:
                raise InputError(field, value, f"{found!r}, as in the study in {folder}, or another folder")
        return existing

    @classmethod
    def open(cls, folder: str | Path, ensembles_dir: Path = ARTIFACTS) -> Self:
        """Open a study.

        Raises:
            InputError: there is no study in the folder, or it is malformed.
        """
        path = Path(folder) / DEFINITION
        definition = parse_definition(read_json(path, "study"), str(path))
        return cls(Path(folder), definition, ensembles_dir)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The sources that the definition names."""
        return load_sources(self.definition.sources, self.space, self._ensembles_dir)

    def observe(self, observations: Sequence[Observation]) -> int:
        """Append observations, and wait until they are on the disk.

        Args:
            observations: observations of the study's space and metric.

        Returns:
            Number of new ones; the others are known.
        """
        with self._lock():
            known, end = self._read()
            new = {item.id: item for item in observations if item.id not in known}
            with (self.folder / OBSERVATIONS).open("ab") as file:
                file.truncate(end)
                file.write(b"".join(json_line(item.to_json(self.space)) for item in new.values()))
                file.flush()
                os.fsync(file.fileno())
        return len(new)

    def observations(self) -> list[Observation]:
        """Return all observations, in the order in which they came."""
        return list(self._read()[0].values())

    def predictor(self) -> StudyPredictor:
        """Return a predictor that is fitted to all observations."""
        return self._fit(self.observations())

    def predict(self, architectures: Sequence[Architecture]) -> list[StudyPrediction]:
        """Predict architectures from all observations."""
        return self.predictor().predict(architectures)

    def suggest(
        self,
        n: int,
        *,
        exclude: Collection[Architecture] = (),
        candidates: Sequence[Architecture] | None = None,
        seed: int = 0,
    ) -> list[tuple[Architecture, StudyPrediction]]:
        """Choose architectures to train next, as `study.suggestions.suggest` does."""
        return suggest(self.predictor(), n, exclude=exclude, candidates=candidates, seed=seed)

    def quality(self) -> Quality:
        """Estimate the quality of the predictions."""
        return self._rate(self.observations())

    def notes(self) -> tuple[str, ...]:
        """Return the reasons not to trust the predictions yet."""
        observations = self.observations()
        return (*self._fit(observations).notes, *quality_notes(self._rate(observations)))

    def state(self) -> dict[str, Any]:
        """Return the state as plain JSON."""
        observations = self.observations()
        predictor, quality = self._fit(observations), self._rate(observations)
        return state_document(self.definition, self.space, observations, predictor, quality)

    def export(self) -> dict[str, Any]:
        """Return the study as one JSON document."""
        return export_study(self.definition, self.space, self.observations())

    def _fit(self, observations: Sequence[Observation]) -> StudyPredictor:
        if self._predictor is None or self._predictor.num_observations != len(observations):
            self._predictor = StudyPredictor.fit(self.definition, self.space, observations, self.sources)
        return self._predictor

    def _rate(self, observations: Sequence[Observation]) -> Quality:
        if self._quality is None or self._quality.observations != len(observations):
            self._quality = estimate_quality(self._fit(observations))
        return self._quality

    def _lock(self) -> FileLock:
        return FileLock(self.folder / f"{TEMPORARY_PREFIX}lock")

    def _read(self) -> tuple[dict[str, Observation], int]:
        """Observations by id, and the end of the last complete line."""
        path = self.folder / OBSERVATIONS
        if not path.exists():
            return {}, 0
        check_file(path, "observations")
        content = path.read_bytes()
        end = content.rfind(b"\n") + 1
        observations = {}
        for number, line in enumerate(content[:end].splitlines(), start=1):
            place = f"{path} line {number}"
            item = parse_observation(self.space, self.definition.metric, parse_json(line, place), place)
            observations[item.id] = item
        return observations, end
