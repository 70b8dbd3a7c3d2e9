"""Both clients against a real server."""

import copy
import json
import pickle
from typing import Any

import httpx
import numpy as np
import pytest
from archrank_client import (
    APITimeoutError,
    ArchitectureError,
    Failure,
    InvalidRequestError,
    JobCancelledError,
    NotFoundError,
    Prediction,
    Scores,
    Validation,
)

from tests.client.conftest import MakeClient, SharedServer, responding
from tests.real_server import CHEAP
from tests.service.observability.test_metrics import idle, value

INVALID: dict[str, Any] = {"space": "gcn-nas", "layers": [["L5"], ["S"], ["S"], ["S"]]}


def metric(api: httpx.Client, name: str) -> float:
    """Return the sum of a server metric over its labels."""
    lines = api.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def num_jobs(client: Any) -> int:
    """Return the number of jobs on the server: up to 1000, as its tests together create more than the default limit."""
    return len(client.jobs(1000))


def requested(server: SharedServer) -> float:
    return metric(server.client, 'archrank_architectures_requested_total{kind="predictions"')


def test_predictions_are_in_order_and_duplicates_are_sent_once(client: Any, server: SharedServer) -> None:
    first, second = client.sample(2, depth=4, seed=1)
    reordered = dict(reversed(second.items()))  # equal, with its keys in another order
    before = requested(server)
    results = client.predict([first, second, INVALID, reordered, first], proxies=[])
    assert requested(server) - before == 3
    assert [result.ok for result in results] == [True, True, False, True, True]
    assert results[0] is results[4]
    assert results[1] is results[3]
    body = {"architectures": [first, second], "proxies": []}
    items = server.client.post("/v1/predictions", json=body).json()["predictions"]
    for result, item in zip(results[:2], items, strict=True):
        assert (result.accuracy, result.fingerprint) == (item["accuracy"], item["fingerprint"])
        assert result.interval.low <= result.accuracy <= result.interval.high
        assert result.interval.level == item["interval"]["level"]
        assert result.combiners["structure"].accuracy == item["combiners"]["structure"]["accuracy"]


def test_a_failure_stays_in_its_place_and_has_no_accuracy(client: Any) -> None:
    good, failure = client.predict([client.sample(1, seed=1)[0], INVALID], proxies=[])
    assert good.ok
    assert isinstance(failure, Failure)
    assert failure.architecture == INVALID
    error = failure.error
    assert isinstance(error, ArchitectureError)
    assert [(problem.field, problem.value) for problem in error.errors] == [("architectures[1].layers[0][0]", "'L5'")]
    assert error.errors[0].allowed.startswith("one of L, ")
    assert str(error).startswith("architectures[1].layers[0][0]: got 'L5'; allowed: ")
    assert (error.status, bool(error.request_id)) == (422, True)
    traceback_lengths = set()
    for name in ("accuracy", "interval", "percentile", "scores", "flops"):
        with pytest.raises(ArchitectureError) as caught:
            getattr(failure, name)
        traceback_lengths.add(len(caught.traceback))
    assert len(traceback_lengths) == 1  # repeated access does not lengthen the traceback
    with pytest.raises(AttributeError):
        _ = failure.nonsense
    restored = pickle.loads(pickle.dumps(failure))
    assert (type(restored.error), str(restored.error)) == (type(error), str(error))
    assert restored.error.errors == error.errors
    assert copy.deepcopy(failure).architecture == INVALID


@pytest.mark.parametrize("proxies", [[], CHEAP])
def test_each_architecture_of_a_refused_request_has_its_error(client: Any, proxies: list[str]) -> None:
    without_layers = {"space": "gcn-nas", "layers": []}
    architectures = [INVALID, without_layers, INVALID, {"weights": [[float("nan")]]}]
    failures = client.predict(architectures, proxies=proxies)
    fields = [failure.error.errors[0].field for failure in failures]
    assert fields[:2] == ["architectures[0].layers[0][0]", "architectures[1].layers (number of layers)"]
    assert failures[2] is failures[0]
    assert fields[3] == "architectures[3]"
    assert client.rank([INVALID])[0].rank is None
    assert client.score([INVALID], proxies=proxies)[0].error.status == 422
    assert client.validate([INVALID])[0].error.status == 422


def test_each_architecture_of_a_refused_job_has_its_error(client: Any) -> None:
    architectures = [{"space": "gcn-nas", "layers": [["S"]] * i} for i in range(11, 80)]
    failures = client.predict(architectures, proxies=CHEAP)
    assert len(failures) == 69
    assert all(isinstance(failure.error, ArchitectureError) for failure in failures)
    assert str(failures[68].error).startswith("architectures[68]")


def test_an_invalid_option_is_raised(client: Any) -> None:
    architectures = client.sample(2, seed=1)
    with pytest.raises(InvalidRequestError, match="combiner: got 'nonsense'; allowed: one of stacked") as caught:
        client.predict(architectures, combiner="nonsense", proxies=[])
    assert caught.value.problem is not None
    assert caught.value.problem.errors[0].field == "combiner"
    with pytest.raises(InvalidRequestError, match=r"proxies\[0\]"):
        client.score(architectures, proxies=["nonsense"])
    with pytest.raises(NotFoundError, match="got 'nonsense'; allowed: one of gcn-nas"):
        client.sample(1, space="nonsense")
    with pytest.raises(InvalidRequestError, match="number: got 0"):
        client.sample(0)
    with pytest.raises(NotFoundError):
        client.job("0" * 32)
    with pytest.raises(TypeError, match="a list of architectures"):
        client.predict(architectures[0])
    with pytest.raises(TypeError, match="a list of names"):
        client.predict(architectures, proxies="nwot")


def test_predictions_from_structure_do_not_depend_on_the_batch(client: Any) -> None:
    architectures = client.sample(200, seed=5)
    results = client.predict(architectures, proxies=[])
    assert [result.architecture for result in results] == architectures
    assert {result.rank for result in results} == {None}  # ranks within a request are dropped
    for i in (0, 64, 199):
        assert client.predict([architectures[i]], proxies=[])[0].accuracy == results[i].accuracy


def test_ranks_are_over_the_whole_list(client: Any) -> None:
    architectures = [*client.sample(150, seed=6), INVALID]
    architectures.append(architectures[3])
    ranked = client.rank(architectures, proxies=[])
    accuracies = [entry.accuracy for entry in ranked if entry.ok]
    assert accuracies == sorted(accuracies, reverse=True)
    assert [entry.rank for entry in ranked[:-1]] == [1 + sum(b > a for b in accuracies) for a in accuracies]
    assert (ranked[-1].rank, ranked[-1].position, ranked[-1].ok) == (None, 150, False)
    assert sorted(entry.position for entry in ranked) == list(range(152))
    assert all(entry.architecture == architectures[entry.position] for entry in ranked)


def test_a_vote_has_the_server_s_ranks_and_is_refused_over_several_requests(client: Any, server: SharedServer) -> None:
    architectures = client.sample(8, depth=4, seed=7)
    body = {"architectures": architectures, "proxies": CHEAP, "combiner": "vote"}
    ranks = [item["rank"] for item in server.client.post("/v1/predictions", json=body).json()["predictions"]]
    ranked = client.rank(architectures, proxies=CHEAP, combiner="vote")
    assert {entry.position: entry.rank for entry in ranked} == dict(enumerate(ranks))
    with pytest.raises(InvalidRequestError, match="one that predicts each architecture independently"):
        client.rank(client.sample(65, depth=4, seed=7), proxies=[], combiner="vote")


def test_with_proxies_a_long_list_is_a_job(client: Any, server: SharedServer) -> None:
    architectures = [*client.sample(70, depth=4, seed=8), INVALID]
    progress: list[tuple[int, int]] = []
    n_jobs = num_jobs(client)
    results = client.predict(architectures, proxies=CHEAP, progress=lambda *args: progress.append(args))
    assert num_jobs(client) == n_jobs + 1
    assert all(isinstance(result, Prediction) and set(result.scores) == set(CHEAP) for result in results[:-1])
    assert results[-1].error.errors[0].field == "architectures[70].layers[0][0]"
    assert [result.architecture for result in results[:-1]] == architectures[:-1]
    assert progress[0] == (0, 71)
    assert progress[-1] == (71, 71)
    assert progress == sorted(progress)
    before = value(idle(server.client), "scoring_duration_seconds_count")
    scores = client.score(architectures, proxies=CHEAP)
    assert value(idle(server.client), "scoring_duration_seconds_count") == before
    assert all(isinstance(result, Scores) for result in scores[:-1])
    assert [result.scores for result in scores[:-1]] == [result.scores for result in results[:-1]]


def test_a_request_that_becomes_a_job_is_followed(make_client: MakeClient, server: SharedServer) -> None:
    client = make_client(server.url, timeout=1.0)  # the server is asked not to wait
    n_jobs = num_jobs(client)
    architectures = client.sample(4, depth=4, seed=100 + n_jobs)  # without cached scores
    results = client.predict(architectures, proxies=CHEAP)
    assert [result.architecture for result in results] == architectures
    assert num_jobs(client) > n_jobs


def test_jobs(client: Any) -> None:
    architectures = [*client.sample(12, depth=4, seed=9), INVALID]
    key = f"the same {type(client).__name__}"
    job = client.submit(architectures, proxies=CHEAP, idempotency_key=key)
    same_job = client.submit(architectures, proxies=CHEAP, idempotency_key=key)
    assert (same_job.id, job.kind) == (job.id, "predictions")
    results = dict(job.iter())
    assert sorted(results) == list(range(13))
    assert not results[12].ok
    assert [results[i].architecture for i in range(12)] == architectures[:12]
    progress: list[tuple[int, int]] = []
    assert client.job(job.id).wait(progress=lambda *args: progress.append(args)).state == "done"
    assert progress == [(13, 13)]
    assert [result.ok for result in client.job(job.id).results()] == [True] * 12 + [False]
    scores = client.submit(architectures, "scores", proxies=CHEAP).results()
    assert [type(result) for result in scores] == [Scores] * 12 + [Failure]
    assert job.status().ended
    assert job.id in [status.id for status in client.jobs(5)]


def test_a_job_includes_duplicates(client: Any) -> None:
    (architecture,) = client.sample(1, depth=4, seed=9)
    accuracies = [result.accuracy for result in client.submit([architecture, architecture], proxies=[]).results()]
    assert len(accuracies) == 2
    with pytest.raises(ArchitectureError, match=r"architectures\[1\]"):
        client.submit([architecture, {"weights": {1, 2}}])


def test_cancelled_jobs(client: Any) -> None:
    job = client.submit(client.sample(300, depth=4, seed=10), proxies=CHEAP, seed=num_jobs(client))
    with pytest.raises(APITimeoutError, match="it continues"):
        job.wait(timeout=0.1)
    results = job.iter()
    next(results)
    assert job.cancel().state == "cancelled"
    with pytest.raises(JobCancelledError, match="cancelled, with"):
        list(results)
    assert job.wait().state == "cancelled"
    with pytest.raises(JobCancelledError):
        job.results()


def test_closing_the_iterator_does_not_cancel_the_job(client: Any) -> None:
    job = client.submit(client.sample(20, depth=4, seed=11), proxies=CHEAP)
    for _ in job.iter():
        break
    assert job.wait().state == "done"


def test_spaces_ensembles_and_limits(client: Any, server: SharedServer) -> None:
    spaces, ensembles = client.spaces(), client.ensembles()
    assert spaces == server.client.get("/v1/spaces").json()
    card = server.client.get("/v1/ensembles").json()["gcn-nas-ntu"]
    assert ensembles["gcn-nas-ntu"].model_dump(mode="json") == card
    assert "stacked" in ensembles["gcn-nas-ntu"].combiners
    assert ensembles["gcn-nas-ntu"].metrics["stacked"].spearman.mean == card["metrics"]["stacked"]["spearman"]["mean"]
    assert client.limits().model_dump() == server.client.get("/v1/limits").json()


def test_samples(client: Any) -> None:
    few, many = client.sample(3, seed=4), client.sample(2500, seed=4)
    assert many[:3] == few
    assert len({json.dumps(architecture) for architecture in many}) == 2500
    assert client.sample(3, seed=5) != few
    assert {len(architecture["layers"]) for architecture in client.sample(20, depth=6)} == {6}


def test_validations(client: Any) -> None:
    architectures = client.sample(100, seed=4)
    *validations, failure = client.validate([*architectures, INVALID])
    assert all(isinstance(validation, Validation) for validation in validations)
    assert [validation.stratum for validation in validations] == [len(arch["layers"]) for arch in architectures]
    assert all(validation.flops > 0 < validation.parameters for validation in validations)
    assert not failure.ok


def test_arrays_are_sent_as_lists(client: Any) -> None:
    (architecture,) = client.sample(1, depth=4, seed=4)
    modules = client.spaces()["gcn-nas"]["modules"]
    mask = [[int(module in layer) for module in modules] for layer in architecture["layers"]]
    numbers = [[np.int64(bit) for bit in row] for row in mask]
    results = client.predict(
        [architecture, {"space": "gcn-nas", "mask": np.array(mask)}, {"mask": numbers}], proxies=[]
    )
    assert len({result.fingerprint for result in results}) == 1


def test_empty_lists_send_no_request(make_client: MakeClient) -> None:
    server = responding(httpx.Response(500))
    client = make_client("http://server", transport=server)
    assert (client.predict([]), client.rank([]), client.score([]), client.validate([])) == ([], [], [], [])
    assert server.requests == []


def test_explanations(client: Any) -> None:
    (prediction,) = client.predict(client.sample(1, depth=4, seed=3), proxies=[], explain=True)
    explanation = prediction.explanation
    total = explanation.base_value + sum(attribution.contribution for attribution in explanation.attributions)
    assert total == pytest.approx(prediction.accuracy)
    best = prediction.suggested_mutations[0]
    assert best.accuracy_gain > 0
    assert set(best.mutation) == {"layer", "module", "action"}
