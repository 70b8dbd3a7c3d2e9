"""Suggestions of a study that are reserved in the store, so that no two workers receive the same."""

from collections.abc import Sequence
from datetime import timedelta

from models import Architecture
from service.storage import Store
from service.studies.fits import Fit
from study import StudyPrediction, suggest

RESERVATION_LIFETIME = timedelta(days=1)
MAX_ROUNDS = 10
"""Maximum number of choices among what others have not reserved meanwhile."""


def suggest_reserved(
    store: Store,
    study_id: str,
    fit: Fit,
    number: int,
    candidates: Sequence[Architecture] | None,
    seed: int,
    reserve: bool,
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

    Raises:
        NotFoundError: the study was deleted.
        StoreError: the store failed.
    """
    suggestions: list[tuple[Architecture, StudyPrediction]] = []
    for _ in range(MAX_ROUNDS):
        _, newer = store.studies.observations(study_id, fit.last_position)
        taken = [row.document["architecture"] for row in newer] + list(store.studies.reserved(study_id))
        exclude = {fit.space.parse(document) for document in taken}.union(
            architecture for architecture, _ in suggestions
        )
        chosen = suggest(fit.predictor, number - len(suggestions), exclude=exclude, candidates=candidates, seed=seed)
        if not reserve:
            return chosen
        documents = {architecture.fingerprint: fit.space.to_json(architecture) for architecture, _ in chosen}
        reserved = store.studies.reserve(study_id, documents, RESERVATION_LIFETIME)
        suggestions += [pair for pair in chosen if pair[0].fingerprint in reserved]
        if len(suggestions) == number or not chosen:
            break
    return suggestions
