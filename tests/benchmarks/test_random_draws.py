"""Scores at several numbers of random draws, from definitions and networks small enough to know the answers."""

import numpy as np
import torch
from torch import nn

from benchmarks.random_draws import VECTORS, fisher_root, fisher_vectors, swap_scores, vkdnw_scores
from models import ProbeBatch

CLASSES, SMOOTHING = 3, 0.05


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, CLASSES))


def batch(samples: int) -> ProbeBatch:
    x = torch.randn(samples, 4, generator=torch.Generator().manual_seed(1))
    return ProbeBatch((x,), torch.arange(samples) % CLASSES, "test")


def fisher_information(samples: int) -> np.ndarray:
    """Sum over the samples of Jᵀ·(diag p − p·pᵀ)·J, J by differentiating each logit."""
    net, total = network(), 0
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    entries = [np.linspace(0, weight.numel() - 1, 4, dtype=int) for weight in weights]
    for x in batch(samples).inputs[0]:
        logits = net(x[None])[0]
        gradients = [torch.autograd.grad(logit, weights, retain_graph=True) for logit in logits]
        J = np.array(
            [np.concatenate([g.numpy().ravel()[e] for g, e in zip(row, entries, strict=True)]) for row in gradients]
        )
        p = (1 - SMOOTHING) * logits.softmax(0).detach().numpy() + SMOOTHING / CLASSES
        total = total + J.T @ (np.diag(p) - np.outer(p, p)) @ J
    return np.asarray(total)


def test_the_root_is_that_of_the_fisher_information() -> None:
    root = fisher_root(network(), batch(2)).numpy()
    assert root.shape == (4, 8)  # two samples, whose covariances have rank two
    np.testing.assert_allclose(root.T @ root, fisher_information(2), rtol=1e-4, atol=1e-7)


def test_more_random_vectors_come_closer_to_it() -> None:
    expected = fisher_information(8)
    vectors = fisher_vectors(network(), batch(8), 0, 512).double().numpy()
    few, many = (8 * part.T @ part / len(part) for part in (vectors[:8], vectors))
    assert np.linalg.norm(many - expected) < 0.2 * np.linalg.norm(few - expected)
    first, second = (vkdnw_scores(network(), batch(8), seed) for seed in (0, 1))
    assert set(first) == {*VECTORS, "all"}
    assert set(second) == set(VECTORS)
    assert first[8] != second[8]


def test_swap_of_more_samples_counts_more_patterns() -> None:
    scores = swap_scores(network(), batch(2), 0)
    assert list(scores) == [4, 8, 16, 32]
    assert max(scores.values()) <= 6
    assert swap_scores(network(), batch(2), 0) == scores
