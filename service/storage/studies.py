"""Studies, their observations, and suggestions with their reservations."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, delete, func, insert, select, update

from common.errors import InputError
from service.storage.database import Database
from service.storage.errors import IdempotencyError, NotFoundError, StudyExistsError
from service.storage.records import JsonObject
from service.storage.study_records import NewObservation, StoredObservation, StoredStudy, StudySummary, SuggestionKey
from service.storage.tables import ObservationRow, ReservationRow, StudyRow, SuggestionRow
from service.storage.validation import MAX_PAGE_SIZE, check_integer, check_text

CHUNK_SIZE = 1000
"""Maximum number of values of a condition: databases limit the parameters of a statement."""
NUM_BEST = 10
_STUDY_COLUMNS = [getattr(StudyRow, field.name) for field in fields(StoredStudy)]
_OBSERVATION_COLUMNS = [getattr(ObservationRow, field.name) for field in fields(StoredObservation)]


class StudyRepository:
    """The tables of studies. Every method raises `StoreError`; those that take the id of a study `NotFoundError`.

    Changes of one study exclude each other by the lock of its row, on all servers.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(
        self,
        owner: str,
        definition: JsonObject,
        observations: Sequence[NewObservation] = (),
        *,
        max_studies: int | None = None,
        max_observations: int | None = None,
    ) -> tuple[StoredStudy, bool]:
        """Create a study, or find the owner's study of the same definition, and add observations.

        Args:
            owner: id of an API key, or `anonymous`.
            definition: definition of the study; `name` is its name.
            observations: observations to add.
            max_studies: maximum number of the owner's studies; no limit if None.
            max_observations: maximum number of observations; no limit if None.

        Returns:
            The study, and True if it is new.

        Raises:
            StudyExistsError: the owner has a study of this name with another definition.
            InputError: a value cannot be stored, or there are too many studies or observations.
        """
        check_text("owner", owner)
        name, now = check_text("name", str(definition["name"])), self._db.now()
        row = {
            "id": uuid4().hex,
            "owner": owner,
            "name": name,
            "definition": dict(definition),
            "created_at": now,
            "updated_at": now,
            "revision": 0,
            "total": 0,
            "last_position": 0,
        }
        with self._db.write() as conn:
            add = self._db.insert(StudyRow).values(row).on_conflict_do_nothing(index_elements=["owner", "name"])
            is_new = conn.scalars(add.returning(StudyRow.number)).one_or_none() is not None
            found = select(*_STUDY_COLUMNS).where(StudyRow.owner == owner, StudyRow.name == name)
            study = StoredStudy(**conn.execute(found.with_for_update()).one()._mapping)
            if not is_new:
                _check_same(study, definition)
            elif max_studies is not None and (others := _count(conn, owner) - 1) >= max_studies:
                raise InputError("studies (number)", others + 1, f"at most {max_studies} of an API key: delete one")
            study, _ = self._add(conn, study, observations, max_observations)
            return study, is_new

    def get(self, study_id: str, owner: str | None = None) -> StoredStudy:
        """Return a study; of this owner only, unless None."""
        with self._db.read() as conn:
            return _find(conn, study_id, owner)

    def list(self, owner: str | None = None, name: str | None = None, limit: int = 1000) -> Sequence[StoredStudy]:
        """Return the latest studies of an owner, or of all owners if None, newest first; of one name unless None."""
        check_integer("limit", limit, 1, MAX_PAGE_SIZE)
        studies = select(*_STUDY_COLUMNS).order_by(StudyRow.number.desc()).limit(limit)
        if owner is not None:
            studies = studies.where(StudyRow.owner == owner)
        if name is not None:
            studies = studies.where(StudyRow.name == name)
        with self._db.read() as conn:
            return [StoredStudy(**row._mapping) for row in conn.execute(studies)]

    def delete(self, study_id: str) -> None:
        """Delete a study with its observations. One that does not exist is no error."""
        with self._db.write() as conn:
            conn.execute(delete(StudyRow).where(StudyRow.id == study_id))

    def observe(
        self, study_id: str, observations: Sequence[NewObservation], max_observations: int | None = None
    ) -> tuple[StoredStudy, int]:
        """Add observations, all or none; those that the study has are not added again.

        Their architectures are no longer reserved.

        Returns:
            The changed study, and the number of added observations.

        Raises:
            InputError: the study would have more than `max_observations`.
        """
        with self._db.write() as conn:
            return self._add(conn, _find(conn, study_id, lock=True), observations, max_observations)

    def remove(self, study_id: str, observation_id: str) -> StoredStudy:
        """Remove an observation. Raises `NotFoundError` if the study does not have it."""
        with self._db.write() as conn:
            study = _find(conn, study_id, lock=True)
            this = (ObservationRow.study == study.number) & (ObservationRow.id == observation_id)
            if not conn.execute(delete(ObservationRow).where(this)).rowcount:
                raise NotFoundError("observation", observation_id, "the id of one of the study's observations")
            return self._change(conn, study, total=study.total - 1)

    def observations(
        self, study_id: str, after: int = 0, limit: int | None = None
    ) -> tuple[StoredStudy, Sequence[StoredObservation]]:
        """Return a study and its observations after a position, in the order of arrival.

        The observations may be newer than the revision of the study, never older.

        Args:
            study_id: id of the study.
            after: position.
            limit: maximum number of observations; all if None.
        """
        check_integer("after", after, 0)
        with self._db.read() as conn:
            study = _find(conn, study_id)
            these = (ObservationRow.study == study.number) & (ObservationRow.position > after)
            query = select(*_OBSERVATION_COLUMNS).where(these).order_by(ObservationRow.position)
            rows = conn.execute(query if limit is None else query.limit(limit))
            return study, [StoredObservation(**row._mapping) for row in rows]

    def count_after(self, study_id: str, position: int) -> int:
        """Count the observations after a position."""
        with self._db.read() as conn:
            study = _find(conn, study_id)
            these = (ObservationRow.study == study.number) & (ObservationRow.position > position)
            return conn.scalars(select(func.count()).select_from(ObservationRow).where(these)).one()

    def summarize(self, study_id: str, maximize: bool) -> StudySummary:
        """Count the observations and find the best architectures.

        Args:
            study_id: id of the study.
            maximize: True if larger values are better.
        """
        row, this = ObservationRow, ObservationRow.study
        with self._db.read() as conn:
            number = _find(conn, study_id).number
            counts = select(func.count(), func.count(row.fingerprint.distinct()))
            total, architectures = conn.execute(counts.where(this == number)).one()
            mean = func.avg(row.value)
            order = mean.desc() if maximize else mean
            trained_rows = (this == number) & row.value.is_not(None)
            trained = conn.scalars(select(func.count(row.fingerprint.distinct())).where(trained_rows)).one()
            ended = row.value.is_not(None) | row.document["error"].as_string().is_not(None)
            ended |= row.document["curve"][0].as_string().is_(None)  # else a curve alone: the training still runs
            num_ended = conn.scalars(select(func.count(row.fingerprint.distinct())).where(this == number, ended)).one()
            best = select(row.fingerprint).where(trained_rows).group_by(row.fingerprint)
            fingerprints = conn.scalars(best.order_by(order, row.fingerprint).limit(NUM_BEST)).all()
            values: dict[str, list[float]] = {}
            documents: dict[str, JsonObject] = {}
            query = select(row.fingerprint, row.value, row.document)
            for fingerprint, value, document in conn.execute(
                query.where(trained_rows, row.fingerprint.in_(fingerprints))
            ):
                values.setdefault(fingerprint, []).append(value)
                documents[fingerprint] = document["architecture"]
        sign = -1.0 if maximize else 1.0
        # Exact sums, so that the means do not depend on the order of the rows.
        means = {fingerprint: math.fsum(items) / len(items) for fingerprint, items in values.items()}
        ranked = sorted(means, key=lambda fingerprint: (sign * means[fingerprint], fingerprint))
        return StudySummary(
            total,
            trained,
            num_ended - trained,
            architectures - num_ended,
            architectures,
            [(documents[key], means[key]) for key in ranked],
        )

    def reserve(
        self,
        study_id: str,
        architectures: Mapping[str, JsonObject],
        lifetime: timedelta,
        key: SuggestionKey | None = None,
        *,
        partly: bool = False,
    ) -> Sequence[JsonObject] | None:
        """Reserve architectures that are neither observed nor reserved.

        Args:
            study_id: id of the study.
            architectures: documents of the architectures by fingerprint.
            lifetime: time after which an architecture that was not observed is free again, and so is the key.
            key: identity of the request; another one with it reserves nothing.
            partly: reserve those that are free if some are not.

        Returns:
            Documents of the reserved architectures, in order; those that an earlier request with the key has reserved;
            None if some are not free, unless `partly`.

        Raises:
            IdempotencyError: the key was used with another body.
        """
        if key is not None:
            check_text("Idempotency-Key", key.key)
        now, expires_at = self._db.now(), self._db.now() + lifetime
        with self._db.write() as conn:
            number = _find(conn, study_id, lock=True).number
            for table in (ReservationRow, SuggestionRow):
                conn.execute(delete(table).where(table.study == number, table.expires_at <= now))
            if key is not None and (earlier := _find_suggested(conn, number, key, now)) is not None:
                return earlier
            taken = {
                fingerprint
                for row in (ObservationRow, ReservationRow)
                for fingerprint in conn.scalars(
                    select(row.fingerprint).where(row.study == number, row.fingerprint.in_(architectures))
                )
            }
            if taken and not partly:
                return None
            free = {name: document for name, document in architectures.items() if name not in taken}
            if free:
                fixed = {"study": number, "expires_at": expires_at}
                rows = [{"fingerprint": name, "architecture": document, **fixed} for name, document in free.items()]
                conn.execute(insert(ReservationRow), rows)
            documents = list(free.values())
            if key is not None:
                request = {"idempotency_key": key.key, "body_hash": key.body_hash, "architectures": documents}
                conn.execute(insert(SuggestionRow), {"study": number, "expires_at": expires_at, **request})
            return documents

    def suggested(self, study_id: str, key: SuggestionKey) -> Sequence[JsonObject] | None:
        """Return the documents that an earlier request with a key has reserved; None if there was none.

        Raises:
            IdempotencyError: the key was used with another body.
        """
        with self._db.read() as conn:
            return _find_suggested(conn, _find(conn, study_id).number, key, self._db.now())

    def reserved(self, study_id: str) -> Sequence[JsonObject]:
        """Return the documents of the reserved architectures."""
        with self._db.read() as conn:
            number = _find(conn, study_id).number
            valid = (ReservationRow.study == number) & (ReservationRow.expires_at > self._db.now())
            return conn.scalars(select(ReservationRow.architecture).where(valid)).all()

    def counts(self) -> tuple[int, int]:
        """Count the studies and their observations."""
        with self._db.read() as conn:
            studies, total = conn.execute(select(func.count(), func.coalesce(func.sum(StudyRow.total), 0))).one()
            return int(studies), int(total)

    def _add(
        self, conn: Connection, study: StoredStudy, observations: Sequence[NewObservation], max_observations: int | None
    ) -> tuple[StoredStudy, int]:
        distinct = {each.id: each for each in observations}
        for ids in _chunks(list(distinct)):
            these = (ObservationRow.study == study.number) & ObservationRow.id.in_(ids)
            for id_ in conn.scalars(select(ObservationRow.id).where(these)).all():
                del distinct[id_]
        if not distinct:
            return study, 0
        total = study.total + len(distinct)
        if max_observations is not None and total > max_observations:
            raise InputError("observations (number)", total, f"at most {max_observations} in one study")
        rows = [
            {"study": study.number, "position": position, **_columns(each)}
            for position, each in enumerate(distinct.values(), start=study.last_position + 1)
        ]
        conn.execute(insert(ObservationRow), rows)
        for fingerprints in _chunks(each.fingerprint for each in distinct.values()):
            reserved = (ReservationRow.study == study.number) & ReservationRow.fingerprint.in_(fingerprints)
            conn.execute(delete(ReservationRow).where(reserved))
        return self._change(conn, study, total=total, last_position=rows[-1]["position"]), len(rows)

    def _change(self, conn: Connection, study: StoredStudy, **values: Any) -> StoredStudy:
        change = update(StudyRow).where(StudyRow.number == study.number)
        change = change.values(**values, revision=StudyRow.revision + 1, updated_at=self._db.now())
        return StoredStudy(**conn.execute(change.returning(*_STUDY_COLUMNS)).one()._mapping)


def _find(conn: Connection, study_id: str, owner: str | None = None, lock: bool = False) -> StoredStudy:
    query = select(*_STUDY_COLUMNS).where(StudyRow.id == study_id)
    if owner is not None:
        query = query.where(StudyRow.owner == owner)
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError("study", study_id, "the id of a study")
    return StoredStudy(**row._mapping)


def _find_suggested(conn: Connection, study: int, key: SuggestionKey, now: datetime) -> Sequence[JsonObject] | None:
    row = conn.execute(
        select(SuggestionRow.body_hash, SuggestionRow.architectures)
        .where(SuggestionRow.study == study, SuggestionRow.idempotency_key == key.key)
        .where(SuggestionRow.expires_at > now)
    ).one_or_none()
    if row is None:
        return None
    if row.body_hash != key.body_hash:
        raise IdempotencyError("Idempotency-Key", key.key, "a key not used before; its suggestions had another body")
    documents: list[JsonObject] = row.architectures
    return documents


def _check_same(study: StoredStudy, definition: JsonObject) -> None:
    for field, value in definition.items():
        if study.definition.get(field) != value:
            allowed = f"{study.definition.get(field)!r}, as study {study.name!r} has it, or another name"
            raise StudyExistsError(field, value, allowed)


def _count(conn: Connection, owner: str) -> int:
    return conn.scalars(select(func.count()).select_from(StudyRow).where(StudyRow.owner == owner)).one()


def _columns(observation: NewObservation) -> dict[str, Any]:
    return {field.name: getattr(observation, field.name) for field in fields(NewObservation)}


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, CHUNK_SIZE)):
        yield chunk
