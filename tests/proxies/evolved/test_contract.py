"""Contract of proxies for evolved ones, on the networks of every registered search space."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from proxies import Score, registry, testing
from proxies.runner import score_batch
from proxies.testing import ProxyContract

EXPRESSIONS = {
    "scores": ["sub", "synflow", ["mul", 0.5, ["max", "num_layers", "params"]]],
    "layers": ["mean", ["log", ["norm", ["mul", "weight", "data.weight_gradient"]]]],
    "spectrum": ["least_step", ["effective_rank", "noise.output"]],
    "mixed": ["add", ["log", "grad_norm"], ["std", ["spectral_norm", ["sub", "perturbed.output", "data.output"]]]],
}
NAMES = [f"evolved:{name}" for name in EXPRESSIONS]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder: Path = tmp_path_factory.mktemp("evolved")
    for name, expression in EXPRESSIONS.items():
        (folder / f"{name}.json").write_text(json.dumps({"name": name, "expression": expression}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHRANK_EVOLVED_DIR", str(folder))
        registry.proxies_by_name.cache_clear()
        _scores.cache_clear()
        yield
    registry.proxies_by_name.cache_clear()


@lru_cache(maxsize=8)
def _scores(space_name: str) -> tuple[dict[str, Score], ...]:
    batch = testing._batch(space_name)
    return tuple(score_batch(network, batch, [*NAMES, "synflow"]) for network in testing._networks(space_name))


class TestEvolvedProxies(ProxyContract):
    """All kinds of expressions, all spaces."""

    @pytest.fixture(params=NAMES)
    def proxy(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def scores(self, proxy: str, space_name: str) -> list[Score]:
        return [scores[proxy] for scores in _scores(space_name)]

    def test_has_a_value_on_every_space(self, scores: list[Score]) -> None:
        assert {result.status for result in scores} == {"ok"}
