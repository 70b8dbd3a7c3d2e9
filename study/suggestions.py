"""Architectures to train next: a set that is both promising and informative."""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError, check_seed
from ensemble.combiners.transfer import MIN_ROWS
from models import Architecture, EditableSpace
from study.acquisition import choose
from study.predictor import StudyPrediction, StudyPredictor

Array = NDArray[np.float64]
POOL_SIZE = 1000
"""Random architectures among the default candidates."""
NUM_PARENTS = 10
"""Best observed architectures whose neighbors are among the default candidates."""
MAX_NEIGHBORS = 200
"""Neighbors of one architecture above which as many random mutations are candidates."""
FIRST_WEIGHT, LATER_WEIGHT = 0.15, 3.0
"""Weights of the scores before and from `MIN_ROWS` trained architectures on; docs/studies.md measures them."""
MAX_REFERENCE = 500
"""Observed architectures to which the distance of candidates is computed."""


def suggest(
    predictor: StudyPredictor,
    n: int,
    *,
    exclude: Collection[Architecture] = (),
    candidates: Sequence[Architecture] | None = None,
    seed: int = 0,
) -> list[tuple[Architecture, StudyPrediction]]:
    """Choose architectures to train next.

    Args:
        predictor: predictor of the study.
        n: number of architectures.
        exclude: architectures that are not suggested, e.g. those in training; observed ones never are.
        candidates: architectures to choose from, in any order; by default random ones of the space and, in an editable
            space, neighbors of the best observed ones.
        seed: seed of the default candidates.

    Returns:
        At most n architectures with their predictions, in the order of choice; fewer if there are fewer candidates.

    Raises:
        InputError: n or the seed is out of range.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError("number", n, "a whole number from 1 on")
    check_seed(seed)
    pool = candidates if candidates is not None else _default_candidates(predictor, seed)
    known = predictor.observed.union(exclude)
    pool = sorted({arch for arch in pool if arch not in known}, key=lambda arch: arch.fingerprint)
    if not pool:
        return []
    reference = sorted(known, key=lambda arch: arch.fingerprint)[:MAX_REFERENCE]
    X = predictor.features(pool)
    failures = predictor.failure_probabilities(pool)
    chosen = choose(
        predictor.model.predict(X),
        X,
        predictor.features(reference),
        len(predictor.sources),
        np.ones(len(pool)) if failures is None else 1 - failures,
        n,
        score_weight(predictor.num_trained),
    )
    architectures = [pool[i] for i in chosen]
    return list(zip(architectures, predictor.predict(architectures), strict=True))


def score_weight(num_trained: int) -> float:
    """Return the weight of predicted scores in the choice: low while the study has much to learn, then high."""
    return FIRST_WEIGHT if num_trained < MIN_ROWS else LATER_WEIGHT


def _default_candidates(predictor: StudyPredictor, seed: int) -> list[Architecture]:
    space, rng = predictor.space, np.random.default_rng(seed)
    pool: list[Architecture] = [space.sample(rng) for _ in range(POOL_SIZE)]
    if isinstance(space, EditableSpace):
        for architecture, _ in predictor.training_set.best(NUM_PARENTS, predictor.definition.metric.sign):
            pool += _variations(space, architecture, rng)
    return pool


def _variations(space: EditableSpace[Any], architecture: Architecture, rng: np.random.Generator) -> list[Architecture]:
    neighbors = list(islice(space.neighbors(architecture), MAX_NEIGHBORS + 1))
    if len(neighbors) <= MAX_NEIGHBORS:
        return neighbors
    return [space.mutate(architecture, rng) for _ in range(MAX_NEIGHBORS)]
