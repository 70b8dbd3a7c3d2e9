"""RoBoT: weights over zero-cost proxies by Bayesian optimization."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from common.bayesian_optimization import BayesianOptimization
from models import Architecture, InputError
from search.base import SearchDomain, Strategy, Surrogate
from search.trials import Trial

Array = NDArray[np.float64]
Scorer = Callable[[Sequence[Architecture]], Array]
"""Scores by several proxies, (n, p); NaN where a proxy failed."""


class Robot(Strategy):
    """RoBoT (He et al., ICLR 2024).

    Source: "Robustifying and Boosting Training-Free Neural Architecture Search". Each proxy is scaled to [0, 1] over a
    pool of candidates, and a weight in [-1, 1] for each is found by Bayesian optimization with the upper confidence
    bound of a Gaussian process: the value of weights is the accuracy of the candidate with the highest weighted sum.
    Weights whose best candidate is known cost no training. The rest of the budget goes down the list of the best
    weights.

    The optimization ends after `budget` - 1 weights, or when half of the budget has been proposed. While trainings
    run, the mean of the Gaussian process stands for their results. A candidate that a proxy failed on, or whose
    training failed, leaves the pool.

    Args:
        domain: domain of the search.
        rng: source of all randomness.
        surrogate: not used.
        scorer: scores by proxies; required.
        budget: number of proposals, which the phases are divided by.
        num_candidates: size of the pool.

    Raises:
        InputError: no scores, or every candidate lacks one.
    """

    name = "robot"
    summary = "weights over proxies by Bayesian optimization (RoBoT, He et al. 2024)"
    needs_mutations = False
    needs_training = True

    def __init__(
        self,
        domain: SearchDomain,
        rng: np.random.Generator,
        surrogate: Surrogate | None = None,
        *,
        scorer: Scorer | None = None,
        budget: int = 20,
        num_candidates: int = 500,
    ) -> None:
        super().__init__(domain, rng, surrogate)
        if scorer is None:
            raise InputError("proxies", None, f"names of proxies, which {self.name} needs")
        self.budget = budget
        drawn = list(dict.fromkeys(self._sample() for _ in range(num_candidates)))
        scores = scorer(drawn)
        scored = np.asarray(np.isfinite(scores).all(axis=1))
        if not scored.any():
            raise InputError("proxies", "no complete scores", f"proxies that score one of {len(drawn)} architectures")
        self.pool = [arch for arch, has_scores in zip(drawn, scored, strict=True) if has_scores]
        scores = scores[scored] - scores[scored].min(axis=0)
        spread = scores.max(axis=0)
        self._scores = scores / np.where(spread > 0, spread, 1.0)
        self._optimization = BayesianOptimization(scores.shape[1], rng)
        self._accuracy: dict[Architecture, float | None] = {}
        """Accuracy of each trained architecture; None if its training failed."""
        self.weights: list[tuple[Array, Architecture]] = []
        """Weights of the optimization, each with its best candidate at that time."""

    def ask(self, n: int) -> list[Architecture]:
        """Propose the best candidates of new weights, then those of the best weights."""
        proposed: list[Architecture] = []
        while len(proposed) < n and (arch := self._propose()) is not None:
            self.proposed.add(arch)
            proposed.append(arch)
        return proposed

    def tell(self, trials: Sequence[Trial]) -> None:
        """Store the accuracies, on which the next weights depend."""
        self._accuracy.update((trial.architecture, trial.accuracy) for trial in trials)

    def _propose(self) -> Architecture | None:
        while len(self.weights) < self.budget - 1 and 2 * len(self.proposed) < self.budget:
            weights = self._next_weights()
            top = self._best_candidate(weights, new=False)
            if top is None:
                return None
            self.weights.append((weights, top))
            if top not in self.proposed:
                return top
        return self._best_candidate(self.best_weights(), new=True)

    def best_weights(self) -> Array:
        """Weights whose best candidate has the highest accuracy, (p,); random ones before the first accuracy."""
        known = self._known_weights()
        if not known:
            return np.asarray(self._optimization.random(1)[0])
        return max(known, key=lambda item: item[1])[0]

    def _known_weights(self) -> list[tuple[Array, float]]:
        """Weights with the accuracy of their best candidate, without those whose training runs or failed."""
        accuracies = ((weights, self._accuracy.get(arch)) for weights, arch in self.weights)
        return [(weights, accuracy) for weights, accuracy in accuracies if accuracy is not None]

    def _next_weights(self) -> Array:
        known = self._known_weights()
        running = [weights for weights, arch in self.weights if arch not in self._accuracy]
        return self._optimization.propose([weights for weights, _ in known], [value for _, value in known], running)

    def _best_candidate(self, weights: Array, new: bool) -> Architecture | None:
        """Candidate of the pool with the highest weighted sum, among those not proposed before if `new`."""
        sums = self._scores @ weights
        order: list[int] = np.argsort(-sums, kind="stable").tolist()
        for i in order:
            arch = self.pool[i]
            failed = arch in self._accuracy and self._accuracy[arch] is None
            if not failed and not (new and arch in self.proposed):
                return arch
        return None
