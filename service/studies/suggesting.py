"""Suggestions of a study that are reserved in the store, so that no two workers receive the same."""

from collections.abc import Sequence
from datetime import timedelta

from models import Architecture
from service.storage import Store, SuggestionKey
from service.studies.fits import Fit
from study import StudyPrediction, suggest

RESERVATION_LIFETIME = timedelta(days=1)
MAX_ROUNDS = 10
"""Maximum number of choices until others have reserved none of them meanwhile."""


def suggest_reserved(
    store: Store,
    study_id: str,
    fit: Fit,
    number: int,
    candidates: Sequence[Architecture] | None,
    seed: int,
    reserve: bool,
    key: SuggestionKey | None = None,
) -> list[tuple[Architecture, StudyPrediction]]:
    """Suggest architectures that are neither observed nor reserved. Reads the store, and takes up to seconds.

    Args:
        store: store of the study.
        study_id: id of the study.
        fit: latest fit.
        number: number of suggestions.
        candidates: architectures to choose from; None for those of the space.
        seed: seed of the candidates.
        reserve: reserve the suggestions.
        key: identity of the request; one that has reserved architectures before suggests them again.

    Raises:
        IdempotencyError: the key was used with another body.
        NotFoundError: the study was deleted.
        StoreError: the store failed.
    """
    if not reserve:
        return _choose(store, study_id, fit, number, candidates, seed)
    documents = None if key is None else store.studies.suggested(study_id, key)
    for left in reversed(range(MAX_ROUNDS)):
        if documents is not None:
            break
        chosen = _choose(store, study_id, fit, number, candidates, seed)
        free = {architecture.fingerprint: fit.space.to_json(architecture) for architecture, _ in chosen}
        documents = store.studies.reserve(study_id, free, RESERVATION_LIFETIME, key, partly=not left)
    architectures = [fit.space.parse(document) for document in documents or ()]
    return list(zip(architectures, fit.predictor.predict(architectures), strict=True))


def _choose(
    store: Store, study_id: str, fit: Fit, number: int, candidates: Sequence[Architecture] | None, seed: int
) -> list[tuple[Architecture, StudyPrediction]]:
    _, newer = store.studies.observations(study_id, fit.last_position)
    taken = [row.document["architecture"] for row in newer] + list(store.studies.reserved(study_id))
    exclude = {fit.space.parse(document) for document in taken}
    return suggest(fit.predictor, number, exclude=exclude, candidates=candidates, seed=seed)
