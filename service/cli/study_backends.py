"""Studies behind `archrank study`: on a local folder, or of a server, with the documents of the HTTP API."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from common.errors import ArchrankError, InputError
from models import get_space
from study import LocalStudy, StudyDefinition, StudyMetric, import_study, parse_observations, source_names
from study.definition import Unit
from study.documents import prediction_document, state_document

Document = dict[str, Any]
DEFAULT_FOLDER = Path("runs/studies")
WAIT = 10
"""Seconds to wait for a fit of the server to all observations."""


class StudyServerError(ArchrankError):
    """The server cannot be used: no client, no connection, or a refused request."""


class StudyBackend(Protocol):
    """Studies by name."""

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Create a study, or open the one of the same definition; returns its state. `sources` may be None for all."""

    def unit(self, name: str) -> Unit:
        """Return the unit of the metric."""

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

    def unit(self, name: str) -> Unit:
        """Return the unit of the metric."""
        return self._open(name).definition.metric.unit

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


class RemoteStudies:
    """Studies of a server, through the client; the API key is read from `ARCHRANK_KEY`.

    Args:
        url: address of the server.

    Raises:
        StudyServerError: the client is not installed, or the address is none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        with self._client():
            pass

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Create a study, or open the one of the same definition."""
        definition = {name: value for name, value in fields.items() if value not in (None, {}, "") and name != "name"}
        with self._client() as client:
            return _document(client.study(fields["name"], **definition).state())

    def unit(self, name: str) -> Unit:
        """Return the unit of the metric."""
        unit: Unit = self.state(name)["metric"]["unit"]
        return unit

    def observe(self, name: str, rows: Sequence[Any]) -> Document:
        """Add observations."""
        with self._client() as client:
            return _document(client.study(name).observe_many(rows))

    def predict(self, name: str, architectures: Sequence[Any]) -> Document:
        """Predict architectures."""
        with self._client() as client:
            answer = client.study(name).predict(architectures, wait=WAIT)
            items = [_document(item) if item.ok else {"error": {"detail": str(item.error)}} for item in answer]
            return _answer_document(answer, "predictions", items)

    def suggest(self, name: str, number: int, seed: int) -> Document:
        """Suggest architectures to train next; other calls do not get them for a day."""
        with self._client() as client:
            answer = client.study(name).suggest(number, seed=seed, wait=WAIT)
            return _answer_document(answer, "suggestions", [_document(item) for item in answer])

    def state(self, name: str) -> Document:
        """Return the state."""
        with self._client() as client:
            return _document(client.study(name).state())

    def export(self, name: str) -> Document:
        """Return the study as one JSON document."""
        with self._client() as client:
            document: Document = client.study(name).export()
            return document

    def load(self, document: Any) -> Document:
        """Import an exported study."""
        with self._client() as client:
            return _document(client.import_study(document).state())

    @contextmanager
    def _client(self) -> Iterator[Any]:
        try:
            import archrank_client
        except ImportError as error:
            raise StudyServerError(
                "--url needs archrank's client, which is not installed: pip install ./client"
            ) from error
        logging.getLogger("stamina").addHandler(logging.NullHandler())  # the final error reports the retries
        try:
            with archrank_client.Client(self._url) as client:
                yield client
        except archrank_client.ArchrankError as error:
            raise StudyServerError(f"{self._url}: {error}") from error
        except ValueError as error:
            raise StudyServerError(str(error)) from error


def _document(model: Any) -> Document:
    document: Document = model.model_dump(mode="json")
    return document


def _answer_document(answer: Any, field: str, items: list[Document]) -> Document:
    counts = {"observations": answer.observations, "pending": answer.pending, "notes": list(answer.notes)}
    return {**counts, field: items}


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
    return RemoteStudies(url)


def find_study(place: str, ensembles_dir: Path | None) -> tuple[str, Callable[[int, int], list[Any]]]:
    """Return the name of a study, and a function that asks it for architectures, by their number and a seed.

    Args:
        place: folder of the study, or its URL, `http://…/v1/studies/NAME`.
        ensembles_dir: folder of the ensembles that may be sources of a local study.

    Raises:
        InputError: there is no study in the folder, or the URL is of another form.
    """
    if "://" in place:
        url, separator, name = place.rpartition("/v1/studies/")
        if not separator or not name or "/" in name:
            raise InputError("study", place, "the URL of a study, http://…/v1/studies/NAME")
        studies = open_studies(url, None, ensembles_dir)
    else:
        path = Path(place)
        if not (path / "study.json").is_file():
            raise InputError("study", place, "the folder of a study, with its study.json")
        studies, name = open_studies(None, path.resolve().parent, ensembles_dir), path.resolve().name
    return name, lambda number, seed: [
        item["architecture"] for item in studies.suggest(name, number, seed)["suggestions"]
    ]
