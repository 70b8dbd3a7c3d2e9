"""Studies behind `archrank study`: on a local folder, or of a server, with the documents of the HTTP API."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from common.errors import InputError
from models import get_space
from study import LocalStudy, StudyDefinition, StudyMetric, import_study, parse_observations, source_names
from study.documents import prediction_document, state_document

Document = dict[str, Any]
DEFAULT_FOLDER = Path("runs/studies")


class StudyBackend(Protocol):
    """Studies by name."""

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Create a study, or open the one of the same definition; returns its state. `sources` may be None for all."""

    def observe(self, name: str, rows: Sequence[Any]) -> Document:
        """Add observations; returns the numbers of added, duplicate and all observations."""

    def predict(self, name: str, architectures: Sequence[Any]) -> Document:
        """Predict architectures."""

    def suggest(self, name: str, number: int, seed: int) -> Document:
        """Suggest architectures to train next."""

    def state(self, name: str) -> Document:
        """Return the state."""

    def export(self, name: str) -> Document:
        """Return the study as one JSON document."""

    def load(self, document: Any) -> Document:
        """Import an exported study; returns its state."""


class LocalStudies:
    """Studies in a folder, one folder each.

    Args:
        folder: the folder.
        ensembles_dir: folder of the ensembles that may be sources.
    """

    def __init__(self, folder: Path, ensembles_dir: Path) -> None:
        self.folder, self.ensembles_dir = folder, ensembles_dir

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Create a study, or open the one of the same definition."""
        space = get_space(fields["space"], **fields["settings"])
        sources = fields["sources"]
        names = source_names(space, self.ensembles_dir) if sources is None else tuple(sources)
        metric = StudyMetric(**fields["metric"])
        definition = StudyDefinition(fields["name"], space.name, space.settings, fields["task"], metric, names)
        return self._state(LocalStudy.create(self.folder / definition.name, definition, self.ensembles_dir))

    def observe(self, name: str, rows: Sequence[Any]) -> Document:
        """Add observations."""
        study = self._open(name)
        observations = parse_observations(study.space, study.definition.metric, list(rows))
        added = study.observe(observations)
        total = len(study.observations())
        return {"added": added, "duplicates": len(observations) - added, "observations": total}

    def predict(self, name: str, architectures: Sequence[Any]) -> Document:
        """Predict architectures."""
        study = self._open(name)
        parsed = []
        for i, architecture in enumerate(architectures):
            try:
                parsed.append(study.space.parse(architecture))
            except InputError as error:
                raise error.within(f"architectures[{i}]") from error
        predictions = zip(parsed, study.predict(parsed), strict=True)
        return self._answer(study, "predictions", [prediction_document(study.space, *item) for item in predictions])

    def suggest(self, name: str, number: int, seed: int) -> Document:
        """Suggest architectures to train next."""
        study = self._open(name)
        suggestions = study.suggest(number, seed=seed)
        return self._answer(study, "suggestions", [prediction_document(study.space, *item) for item in suggestions])

    def state(self, name: str) -> Document:
        """Return the state."""
        return self._open(name).state()

    def export(self, name: str) -> Document:
        """Return the study as one JSON document."""
        return self._open(name).export()

    def load(self, document: Any) -> Document:
        """Import an exported study."""
        definition, _, observations = import_study(document)
        study = LocalStudy.create(self.folder / definition.name, definition, self.ensembles_dir)
        study.observe(observations)
        return self._state(study)

    def _open(self, name: str) -> LocalStudy:
        if not (self.folder / name).is_dir():
            known = sorted(path.parent.name for path in self.folder.glob("*/study.json"))
            raise InputError("NAME", name, f"a study in {self.folder}: " + (", ".join(known) or "it holds none"))
        return LocalStudy.open(self.folder / name, self.ensembles_dir)

    def _state(self, study: LocalStudy) -> Document:
        """State without a fit."""
        return state_document(study.definition, study.space, study.observations())

    def _answer(self, study: LocalStudy, field: str, items: list[Document]) -> Document:
        total = study.predictor().num_observations
        return {"observations": total, "pending": 0, "notes": list(study.notes()), field: items}


def open_studies(url: str | None, folder: Path | None, ensembles_dir: Path | None) -> StudyBackend:
    """Return the studies of a server or of a folder.

    Raises:
        InputError: options of a folder are given with `url`.
    """
    if url is None:
        from service.cli.common import settings

        return LocalStudies(folder or DEFAULT_FOLDER, settings(ensembles_dir=ensembles_dir).ensembles_dir)
    for name, value in {"folder": folder, "ensembles_dir": ensembles_dir}.items():
        if value is not None:
            raise InputError(name, str(value), "nothing with --url: the server has its own")
    raise InputError("url", url, "nothing yet")
