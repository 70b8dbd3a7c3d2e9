"""Evolved proxies as proxies: scores, versions, failures, documents."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from common.errors import InputError
from common.plugins import Plugin, PluginWarning
from proxies import proxy_names, proxy_versions, registry, runner, score
from proxies.evolved import documents
from proxies.evolved.documents import load_document, parse_document
from tests.proxies.evolved.conftest import Install
from tests.proxies.test_runner import Small

X = torch.randn(6, 3, 6, 6, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 0, 1, 1, 2, 3])
SCORES = ["sub", "synflow", ["mul", "zen", ["log", "num_layers"]]]
LAYERS = ["add", ["sum", ["sum", ["mul", "weight", "data.weight_gradient"]]], ["neg", "plain"]]


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    return Small()


def test_a_formula_over_scores(small: Small, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "perf_counter", process_time)  # other processes do not change it
    install(mine=SCORES)
    scores = score(small, X, Y, ["evolved:mine", "synflow", "zen"])
    zen = scores["zen"].value
    assert zen is not None
    assert scores["synflow"].log is not None
    # zen is above 0, the network has three weights, and both are read as logarithms
    expected = scores["synflow"].log - math.log1p(zen) * math.log1p(math.log1p(3))
    assert scores["evolved:mine"].value == pytest.approx(expected, rel=1e-12)
    alone = score(small, X, Y, ["evolved:mine"])
    assert list(alone) == ["evolved:mine"]
    assert alone["evolved:mine"].value == scores["evolved:mine"].value
    assert alone["evolved:mine"].seconds > scores["evolved:mine"].seconds


def test_a_formula_over_tensors_agrees_with_the_proxy_of_that_definition(small: Small, install: Install) -> None:
    install(
        grad=["sum", ["norm", "data.weight_gradient"]], plain=["sum", LAYERS[1][1]], norm=["sum", ["norm", "weight"]]
    )
    names = {"evolved:grad": "grad_norm", "evolved:plain": "plain", "evolved:norm": "l2_norm"}
    scores = score(small, X, Y, [*names, *names.values()])
    for evolved, written in names.items():
        assert scores[evolved].value == pytest.approx(scores[written].value, rel=1e-5), evolved


def test_scores_and_tensors_in_one_formula(small: Small, install: Install) -> None:
    install(mixed=LAYERS)
    scores = score(small, X, Y, ["evolved:mixed", "plain"])
    plain = scores["plain"].value
    assert plain is not None
    expected = plain - math.copysign(math.log1p(abs(plain)), plain)
    assert scores["evolved:mixed"].value == pytest.approx(expected, rel=1e-5)


def test_reductions_of_a_layer_against_their_definitions(install: Install) -> None:
    definitions: dict[str, Callable[[Any], Any]] = {
        "sum": lambda w: w.sum(),
        "mean": lambda w: w.mean(),
        "std": lambda w: w.std(),
        "least": lambda w: w.min(),
        "most": lambda w: w.max(),
        "positive": lambda w: (w > 0).mean(),
        "norm": lambda w: np.linalg.norm(w),
        "spectral_norm": lambda w: np.linalg.norm(w, 2),
        "nuclear_norm": lambda w: np.linalg.norm(w, "nuc"),
        "effective_rank": lambda w: _effective_rank(np.linalg.svd(w, compute_uv=False)),
        "log_determinant": lambda w: np.linalg.slogdet(np.eye(len(w)) + w @ w.T)[1],
    }
    install(**{name: ["first", [name, "weight"]] for name in definitions})
    torch.manual_seed(0)
    network = nn.Linear(5, 4)
    weight = network.weight.detach().double().numpy()
    names = [f"evolved:{name}" for name in definitions]
    scores = score(network, torch.randn(3, 5), torch.tensor([0, 1, 2]), names)
    for name, definition in definitions.items():
        assert scores[f"evolved:{name}"].value == pytest.approx(float(definition(weight)), rel=1e-9), name


def _effective_rank(singular: Any) -> float:
    shares = singular / singular.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def test_noise_and_perturbed_data(install: Install) -> None:
    """The input of the first layer is the data: noise in its place, and a hundredth of noise added."""
    install(
        data=["first", ["norm", "data.input"]],
        noise=["first", ["std", "noise.input"]],
        change=["first", ["std", ["sub", "perturbed.input", "data.input"]]],
    )
    torch.manual_seed(0)
    x = 1 + torch.randn(64, 50)
    scores = score(nn.Linear(50, 4), x, torch.arange(64) % 4, ["evolved:data", "evolved:noise", "evolved:change"])
    assert scores["evolved:data"].value == pytest.approx(float(x.norm()), rel=1e-6)
    assert scores["evolved:noise"].value == pytest.approx(1, rel=0.05)
    assert scores["evolved:change"].value == pytest.approx(0.01, rel=0.05)


def test_what_it_reads_decides_on_failure(install: Install) -> None:
    install(reads=["add", "nwot", "params"], overflow=["mul", ["square", ["square", "params"]], 1e6])
    network = nn.Linear(3, 2)
    x, y = torch.ones(2, 3), torch.tensor([0, 1])
    scores = score(network, x, y, ["evolved:reads", "evolved:overflow"])
    assert (scores["evolved:reads"].status, scores["evolved:reads"].value) == ("not_applicable", None)
    assert scores["evolved:reads"].note == "nwot: the network has no ReLU"
    assert scores["evolved:overflow"].status == "ok"
    failed = score(network, x, torch.tensor([0, 7]), ["evolved:reads", "grad_norm"])
    assert failed["grad_norm"].status == "failed"
    install(fails=["add", "grad_norm", "params"])
    failed = score(network, x, torch.tensor([0, 7]), ["evolved:fails"])
    assert failed["evolved:fails"].status == "failed"
    assert str(failed["evolved:fails"].error).startswith("grad_norm: ValueError: label 7")


def test_a_number_that_is_not_defined_is_a_failure(install: Install) -> None:
    install(step=["least_step", ["norm", "weight"]])
    scores = score(nn.Linear(3, 2), torch.ones(2, 3), torch.tensor([0, 1]), ["evolved:step"])
    assert scores["evolved:step"].status == "failed"
    assert scores["evolved:step"].value is None


def test_a_network_without_static_layers_fails_with_the_reason(install: Install) -> None:
    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.eye(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.weight

    install(norm=["sum", ["norm", "weight"]])
    scores = score(Product(), torch.ones(2, 3), torch.tensor([0, 1]), ["evolved:norm"])
    assert scores["evolved:norm"].status == "failed"
    assert "a matrix product with a weight" in str(scores["evolved:norm"].error)


def test_the_version_follows_the_expression_and_what_it_reads(install: Install) -> None:
    install(one=["neg", "zen"], two=["neg", "zen"], three=["abs", "zen"])
    versions = proxy_versions(["evolved:one", "evolved:two", "evolved:three"])
    assert versions["evolved:one"] == versions["evolved:two"] != versions["evolved:three"]
    assert proxy_names()[-3:] == ["evolved:one", "evolved:three", "evolved:two"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"name": "Mine", "expression": "zen"}, "name"),
        ({"expression": "zen"}, "name"),
        ({"name": "mine"}, "expression"),
        ({"name": "mine", "expression": "evolved:other"}, "one of epe_nas"),
        ({"name": "mine", "expression": ["add", "zen"]}, "2 arguments"),
        ({"name": "mine", "expression": "zen", "hash": "0" * 64}, "hash"),
        ({"name": "mine", "expression": "zen", "code": "import os"}, "code"),
        ([], "document"),
    ],
)
def test_a_malformed_document_is_refused(document: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_document(document, registry.proxies_by_name())


def test_a_broken_file_is_a_warning_and_the_rest_works(tmp_path: Path, install: Install) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "again.json").write_text(json.dumps({"name": "mine", "expression": "zen"}))
    install(mine=["neg", "zen"])
    with pytest.warns(PluginWarning) as warned:
        assert proxy_names()[-1] == "evolved:mine"
    assert [str(warning.message).split("'")[1] for warning in warned] == ["broken.json", "mine.json"]


def test_a_missing_folder_is_an_error(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_EVOLVED_DIR", "/nowhere")
    with pytest.raises(InputError, match="ARCHRANK_EVOLVED_DIR"):
        proxy_names()


def test_an_entry_point_provides_a_document(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"name": "theirs", "expression": ["neg", "params"], "source": "their paper"}
    monkeypatch.setattr(documents, "load_plugins", lambda group, taken: [Plugin("theirs", "other 1.0", document)])
    install()
    assert registry.proxies_by_name()["evolved:theirs"].info.source == "their paper"
    scores = score(nn.Linear(3, 2), torch.ones(2, 3), torch.tensor([0, 1]), ["evolved:theirs"])
    assert scores["evolved:theirs"].value == pytest.approx(-math.log(9))


@pytest.mark.parametrize(
    ("name", "study"), [("nas-bench-201", "nas-bench-201-stratified"), ("gcn-nas", "gcn-nas-layers-1000")]
)
def test_the_shipped_ones_are_those_that_were_evolved(name: str, study: str) -> None:
    root = Path(__file__).parents[3]
    report = json.loads((root / "docs" / "data" / "evolution" / f"{study}.json").read_text())
    proxy = load_document(root / "examples" / "evolved" / f"{name}.json", registry.proxies_by_name())
    assert proxy.expression.to_json() == report["expression"]
