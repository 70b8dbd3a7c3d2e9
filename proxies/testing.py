"""Conformance suite of proxies, for their authors: any proxy on the networks of any search space.

Example:
    ```python
    class TestMyProxy(ProxyContract):
        @pytest.fixture(params=["my_proxy"])
        def proxy(self, request):
            return request.param
    ```
"""

import copy
import json
import math
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from models.base import BuildableSpace
from models.registry import get_space, space_infos
from models.task import ProbeBatch
from proxies.base import ProxyInfo, Score
from proxies.registry import proxy_infos, proxy_names
from proxies.runner import score, score_batch

NUM_ARCHITECTURES = 2
"""Architectures of each space that a proxy is tested on."""


def buildable_spaces() -> list[str]:
    """Names of all registered search spaces whose architectures can be built as networks."""
    return [info.name for info in space_infos() if issubclass(info.kind, BuildableSpace)]


@lru_cache(maxsize=64)
def _networks(space_name: str) -> tuple[torch.nn.Module, ...]:
    space: Any = get_space(space_name)
    rng = np.random.default_rng(0)
    return tuple(space.build(space.sample(rng)) for _ in range(NUM_ARCHITECTURES))


@lru_cache(maxsize=64)
def _batch(space_name: str) -> ProbeBatch:
    space: Any = get_space(space_name)
    batch: ProbeBatch = space.task.synthetic_batch()
    return batch


@lru_cache(maxsize=64)
def _all_scores(space_name: str) -> tuple[dict[str, Score], ...]:
    return tuple(score_batch(network, _batch(space_name), proxy_names()) for network in _networks(space_name))


class ProxyContract:
    """Tests of proxies on the networks of search spaces, at their tasks' default synthetic batch.

    By default all registered proxies and all registered spaces that can be built. Subclasses override the fixtures
    `proxy`, a name, and `space_name` to test fewer.
    """

    @pytest.fixture(params=proxy_names())
    def proxy(self, request: pytest.FixtureRequest) -> str:
        """Name of the proxy."""
        return str(request.param)

    @pytest.fixture(params=buildable_spaces())
    def space_name(self, request: pytest.FixtureRequest) -> str:
        """Name of the search space."""
        return str(request.param)

    @pytest.fixture
    def info(self, proxy: str) -> ProxyInfo:
        """Metadata of the proxy."""
        return next(info for info in proxy_infos() if info.name == proxy)

    @pytest.fixture
    def batch(self, space_name: str) -> ProbeBatch:
        """Probe batch of the space's task."""
        return _batch(space_name)

    @pytest.fixture
    def scores(self, proxy: str, space_name: str) -> list[Score]:
        """Scores of the proxy on each network, computed together with all other proxies."""
        return [scores[proxy] for scores in _all_scores(space_name)]

    def test_has_a_value_or_a_reason(self, scores: list[Score], info: ProxyInfo) -> None:
        """A score is a finite number, or not applicable with a reason; no network of a space makes a proxy fail."""
        for result in scores:
            assert result.status in ("ok", "not_applicable"), result.error
            assert result.error is None
            if result.status == "ok":
                assert result.feature is not None
                assert math.isfinite(result.feature)
                assert (result.log is not None) == info.log_feature
                assert result.value is not None or info.log_feature
            else:
                assert result.value is result.log is result.feature is None
                assert result.note

    def test_is_plain_data(self, scores: list[Score]) -> None:
        """A score can be written as JSON, and its time is a number of seconds."""
        for result in scores:
            assert json.loads(json.dumps(asdict(result), allow_nan=False))["status"] == result.status
            assert 0 <= result.seconds < math.inf

    def test_applies_to_all_networks_of_a_space_alike(self, scores: list[Score]) -> None:
        """One space's networks, on one task, offer a proxy the same, unless they have no ReLU or other layer."""
        reasons = {result.note for result in scores if result.status == "not_applicable"}
        assert len(reasons) < 2

    def test_is_the_same_alone(
        self, proxy: str, space_name: str, batch: ProbeBatch, scores: list[Score], info: ProxyInfo
    ) -> None:
        """The score does not depend on the proxies that are computed with it, nor on a second call."""
        alone = score_batch(_networks(space_name)[0], batch, [proxy])[proxy]
        assert (alone.status, alone.note) == (scores[0].status, scores[0].note)
        assert alone.feature == (None if scores[0].feature is None else pytest.approx(scores[0].feature, rel=1e-4))
        again = score_batch(_networks(space_name)[0], batch, [proxy])[proxy]
        assert again.feature == alone.feature

    def test_leaves_network_batch_and_random_state(self, proxy: str, space_name: str, batch: ProbeBatch) -> None:
        """Weights, statistics, gradients, mode, batch and the global random state stay unchanged."""
        network = copy.deepcopy(_networks(space_name)[0]).eval()
        tensors = [*network.state_dict().values(), *batch.tensors.values()]
        before, random_state = [tensor.clone() for tensor in tensors], torch.get_rng_state()
        score_batch(network, batch, [proxy])
        assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before, strict=True))
        assert torch.equal(torch.get_rng_state(), random_state)
        assert not any(module.training for module in network.modules())
        assert all(parameter.grad is None for parameter in network.parameters())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())

    def test_takes_the_batch_in_parts(
        self, proxy: str, space_name: str, batch: ProbeBatch, scores: list[Score]
    ) -> None:
        """`score` with the parts of a probe batch is `score_batch`."""
        options: dict[str, Any] = {"rows": batch.rows, "sample_axis": batch.sample_axis}
        parts = score(_networks(space_name)[0], batch.inputs, batch.targets, [proxy], **options)[proxy]
        assert parts.status == scores[0].status
        assert parts.feature == (None if scores[0].feature is None else pytest.approx(scores[0].feature, rel=1e-4))
