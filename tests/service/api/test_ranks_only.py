"""Documents of an ensemble that only ranks: null in place of accuracies, intervals and win probabilities."""

from typing import Any

import pytest
from archrank_client import Prediction as ClientPrediction
from archrank_client.results import rank_results
from archrank_client.schemas import Ensemble as ClientEnsemble

from ensemble import Benchmark, Ensemble
from models import get_space
from service.api.documents import ensemble_card, prediction_response, reference_set, result_item
from service.api.schemas import EstimatedItem, FailedItem
from service.inference import pipeline
from service.inference.queries import PredictionQuery
from service.inference.registry import EnsembleRegistry
from service.inference.results import PredictionResult
from service.settings import SHIPPED, Settings
from tests.service.conftest import run_inline

NAME = "nas-bench-graph-new"


@pytest.fixture(scope="module")
def ensembles(tmp_path_factory: pytest.TempPathFactory) -> EnsembleRegistry:
    folder = tmp_path_factory.mktemp("ensembles")
    source = Ensemble.load(SHIPPED / "nas-bench-graph-cora")
    table = Benchmark("new", get_space("nas-bench-graph", dataset="pubmed"), ())
    Ensemble.fit(table, name=NAME, sources=[source]).save(folder / NAME)
    return EnsembleRegistry.load(Settings(device="cpu", ensembles_dir=folder, default_ensemble=NAME))


@pytest.fixture(scope="module")
def architectures(ensembles: EnsembleRegistry) -> list[dict[str, Any]]:
    space = ensembles.get().space
    return [space.to_json(space.parse(key)) for key in ("88811", "00123", "51078")]


def predict(
    ensembles: EnsembleRegistry, architectures: list[dict[str, Any]], explain: bool = False, compare: bool = False
) -> PredictionResult:
    query = PredictionQuery(proxies=[], explain=explain, space="nas-bench-graph")
    result: PredictionResult = run_inline(pipeline.predict, architectures, query, ensembles, compare=compare)
    return result


def test_predictions_have_ranks_and_no_accuracies(
    ensembles: EnsembleRegistry, architectures: list[dict[str, Any]]
) -> None:
    result = predict(ensembles, architectures, compare=True)
    response = prediction_response(result).model_dump(mode="json")
    assert response["win_probability"] is None
    items = response["predictions"]
    assert sorted(item["rank"] for item in items) == [1, 2, 3]
    for item in items:
        assert (item["accuracy"], item["interval"]) == (None, None)
        assert item["combiners"] == {"transfer": {"accuracy": None, "interval": None, "percentile": item["percentile"]}}
        assert item["warnings"][0].startswith("ranks and percentiles only")
    by_rank = sorted(items, key=lambda item: item["rank"])
    assert by_rank == sorted(items, key=lambda item: -item["ranking_score"])
    jobs = [result_item(item, i) for i, item in enumerate(result.items)]
    assert [item.ranking_score for item in jobs if isinstance(item, EstimatedItem)] == [
        item["ranking_score"] for item in items
    ]


def test_the_client_ranks_by_the_ranking_score(
    ensembles: EnsembleRegistry, architectures: list[dict[str, Any]]
) -> None:
    response = prediction_response(predict(ensembles, architectures)).model_dump(mode="json")
    rows = [{name: value for name, value in item.items() if name != "rank"} for item in response["predictions"]]
    ranked = rank_results([ClientPrediction.model_validate(row) for row in rows])
    assert [entry.rank for entry in ranked] == [1, 2, 3]
    scores = [response["predictions"][entry.position]["ranking_score"] for entry in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(entry.accuracy is None for entry in ranked)


def test_an_explanation_is_refused(ensembles: EnsembleRegistry, architectures: list[dict[str, Any]]) -> None:
    for item in prediction_response(predict(ensembles, architectures, explain=True)).predictions:
        assert isinstance(item, FailedItem)
        assert item.error.status == 422
        assert "this one only ranks, without explanations" in item.error.detail


def test_card_and_reference_set(ensembles: EnsembleRegistry) -> None:
    loaded = ensembles.get()
    card = ensemble_card(loaded.manifest).model_dump(mode="json")
    assert card["ranks_only"]
    assert card["benchmark"]["accuracy_range"] is None
    assert [source["name"] for source in card["sources"]] == ["nas-bench-graph-cora"]
    read = ClientEnsemble.model_validate(card)
    assert read.ranks_only
    assert read.sources[0].rows == card["sources"][0]["rows"] > 0
    document = reference_set(loaded)
    assert document.combiners == {}
    assert document.size == loaded.ensemble.reference_set.size > 500
