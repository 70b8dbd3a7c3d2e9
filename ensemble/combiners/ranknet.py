"""RankNet: a network trained on pairwise comparisons."""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensemble.combiners.base import Array, Combiner, Standardizer
from ensemble.rowwise import row_sums

FloatArray = NDArray[np.float32]
CHUNK_ROWS = 8
"""Rows predicted at once: limits the scratch memory to about 2 MB, which fits the processor's cache."""
MIN_STD = 1e-9


class RankNet(Combiner):
    """Networks with one hidden layer, trained with a pairwise logistic loss over all pairs of training rows.

    Burges et al. 2005, "Learning to rank using gradient descent". Networks with different initial weights are trained
    side by side, and their standardized scores averaged.

    Args:
        hidden_size: number of hidden units.
        n_estimators: number of networks.
        n_iter: number of full-batch Adam steps.
        learning_rate: learning rate.
        weight_decay: decoupled weight decay.
        random_state: seed of the initial weights.

    Attributes:
        w1_, b1_, w2_: weights, (n_estimators, d, hidden_size), (n_estimators, hidden_size), (n_estimators,
            hidden_size).
        mean_, scale_: (d,), standardization of the columns.
        score_mean_, score_std_: (n_estimators,), of each network's scores on the training rows.
    """

    fitted_arrays = ("w1_", "b1_", "w2_", "mean_", "scale_", "score_mean_", "score_std_")

    w1_: FloatArray
    b1_: FloatArray
    w2_: FloatArray
    mean_: Array
    scale_: Array
    score_mean_: FloatArray
    score_std_: FloatArray

    def __init__(
        self,
        hidden_size: int = 32,
        n_estimators: int = 5,
        n_iter: int = 60,
        learning_rate: float = 0.005,
        weight_decay: float = 2.0,
        random_state: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.n_estimators = n_estimators
        self.n_iter = n_iter
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Train the networks."""
        X, y = self._check_fit_input(X, y)
        standardizer = Standardizer.fit(X)
        self.mean_, self.scale_ = standardizer.mean, standardizer.scale
        Z = torch.tensor(standardizer.transform(X), dtype=torch.float32)
        order = torch.tensor(np.sign(y[:, None] - y[None, :]), dtype=torch.float32)
        weights = self._initial_weights(X.shape[1])
        optimizer = torch.optim.AdamW(weights, lr=self.learning_rate, weight_decay=self.weight_decay)
        for _ in range(self.n_iter):
            optimizer.zero_grad()
            scores = _forward(Z, *weights)
            scores.backward(_pairwise_gradient(scores.detach(), order))  # type: ignore[no-untyped-call]
            optimizer.step()
        self.w1_, self.b1_, self.w2_ = (weight.detach().numpy().copy() for weight in weights)
        train_scores = self._scores(Z.numpy()).T
        self.score_mean_, self.score_std_ = train_scores.mean(axis=1), np.maximum(train_scores.std(axis=1), MIN_STD)
        return self

    def predict(self, X: Array) -> Array:
        """Scores, (m,), the mean over networks that each have mean 0 and standard deviation 1 on the training rows."""
        X = self._check_input(X)
        Z = Standardizer(self.mean_, self.scale_).transform(X).astype(np.float32)
        scores = (self._scores(Z) - self.score_mean_) / self.score_std_
        return row_sums(scores).astype(np.float64) / len(self.score_mean_)

    def _scores(self, Z: FloatArray) -> FloatArray:
        """Scores of each row by each network, (m, n_estimators)."""
        return np.concatenate([self._chunk_scores(Z[i : i + CHUNK_ROWS]) for i in range(0, len(Z), CHUNK_ROWS)])

    def _chunk_scores(self, Z: FloatArray) -> FloatArray:
        hidden = np.maximum(row_sums((Z[:, None, :, None] * self.w1_).swapaxes(2, 3)) + self.b1_, 0)
        return row_sums(hidden * self.w2_)

    def _initial_weights(self, d: int) -> list[torch.Tensor]:
        # A separate generator: the global random state is neither read nor changed.
        generator = torch.Generator().manual_seed(self.random_state)
        w1 = torch.randn(self.n_estimators, d, self.hidden_size, generator=generator) * (2 / d) ** 0.5
        w2 = torch.randn(self.n_estimators, self.hidden_size, generator=generator) * (1 / self.hidden_size) ** 0.5
        b1 = torch.zeros(self.n_estimators, self.hidden_size, requires_grad=True)
        return [w1.requires_grad_(), b1, w2.requires_grad_()]


def _forward(Z: torch.Tensor, w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor) -> torch.Tensor:
    """Scores, (n_estimators, n)."""
    hidden = torch.relu(torch.matmul(Z, w1) + b1[:, None])
    return torch.einsum("snh,sh->sn", hidden, w2)


def _pairwise_gradient(scores: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Gradient of the loss with respect to the scores, (n_estimators, n).

    The loss is the mean of log(1 + exp(−b·(sᵢ − sⱼ))) over the pairs with order b = ±1. Autograd would keep several
    tensors of shape (n_estimators, n, n).
    """
    pull = order * torch.sigmoid(-order * (scores[:, :, None] - scores[:, None, :]))
    return -2 * pull.sum(dim=2) / order.abs().sum().clamp(min=1)
