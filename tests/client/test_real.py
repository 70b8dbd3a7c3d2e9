"""Both clients against a real server."""

import copy
import json
import pickle
from typing import Any

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

from tests.real_server import CHEAP, Server

BAD: dict[str, Any] = {"space": "gcn-nas", "layers": [["L5"], ["S"], ["S"], ["S"]]}


def count(server: Server, name: str) -> float:
    """A metric of the server."""
    lines = server.client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def asked(server: Server) -> float:
    return count(server, 'archrank_architectures_requested_total{kind="predictions"')


def test_predictions_are_in_order_and_equal_ones_are_sent_once(client: Any, server: Server) -> None:
    first, second = client.sample(2, depth=4, seed=1)
    mixed = dict(reversed(second.items()))  # the same, written otherwise
    before = asked(server)
    results = client.predict([first, second, BAD, mixed, first], proxies=[])
    assert asked(server) - before == 3
    assert [one.ok for one in results] == [True, True, False, True, True]
    assert results[0] is results[4]
    assert results[1] is results[3]
    body = {"architectures": [first, second], "proxies": []}
    raw = server.client.post("/v1/predictions", json=body).json()["predictions"]
    for result, said in zip(results[:2], raw, strict=True):
        assert (result.accuracy, result.fingerprint) == (said["accuracy"], said["fingerprint"])
        assert result.interval.low <= result.accuracy <= result.interval.high
        assert result.combiners["structure"].accuracy == said["combiners"]["structure"]["accuracy"]


def test_a_failure_stays_with_its_item_and_has_no_accuracy(client: Any) -> None:
    good, failed = client.predict([client.sample(1, seed=1)[0], BAD], proxies=[])
    assert good.ok
    assert isinstance(failed, Failure)
    assert failed.architecture == BAD
    error = failed.error
    assert isinstance(error, ArchitectureError)
    assert [(one.field, one.value) for one in error.errors] == [("architectures[1].layers[0][0]", "'L5'")]
    assert error.errors[0].allowed.startswith("one of L, ")
    assert str(error).startswith("architectures[1].layers[0][0]: got 'L5'; allowed: ")
    assert (error.status, bool(error.request_id)) == (422, True)
    lengths = set()
    for name in ("accuracy", "interval", "percentile", "scores", "flops"):
        with pytest.raises(ArchitectureError) as caught:
            getattr(failed, name)
        lengths.add(len(caught.traceback))
    assert len(lengths) == 1  # else what is read often holds ever more frames
    with pytest.raises(AttributeError):
        _ = failed.nonsense
    again = pickle.loads(pickle.dumps(failed))
    assert (type(again.error), str(again.error), again.error.errors) == (type(error), str(error), error.errors)
    assert copy.deepcopy(failed).architecture == BAD


@pytest.mark.parametrize("proxies", [[], CHEAP])
def test_where_all_are_refused_each_has_its_error(client: Any, proxies: list[str]) -> None:
    worse = {"space": "gcn-nas", "layers": []}
    found = client.predict([BAD, worse, BAD, {"weights": [[float("nan")]]}], proxies=proxies)
    fields = [one.error.errors[0].field for one in found]
    assert fields[:2] == ["architectures[0].layers[0][0]", "architectures[1].layers (number of layers)"]
    assert found[2] is found[0]
    assert fields[3] == "architectures[3]"
    assert client.rank([BAD])[0].rank is None
    assert client.score([BAD], proxies=proxies)[0].error.status == 422
    assert client.validate([BAD])[0].error.status == 422


def test_where_all_of_a_job_are_refused_each_has_its_error(client: Any) -> None:
    found = client.predict([{"space": "gcn-nas", "layers": [["S"]] * i} for i in range(11, 80)], proxies=CHEAP)
    assert len(found) == 69
    assert all(isinstance(one.error, ArchitectureError) for one in found)
    assert str(found[68].error).startswith("architectures[68]")


def test_what_is_wrong_with_the_request_is_raised(client: Any) -> None:
    architectures = client.sample(2, seed=1)
    with pytest.raises(InvalidRequestError, match="combiner: got 'nonsense'; allowed: one of stacked") as caught:
        client.predict(architectures, combiner="nonsense", proxies=[])
    assert caught.value.problem.errors[0].field == "combiner"
    with pytest.raises(InvalidRequestError, match=r"proxies\[0\]"):
        client.score(architectures, proxies=["nonsense"])
    with pytest.raises(NotFoundError, match="got 'nonsense'; allowed: one of gcn-nas"):
        client.sample(1, space="nonsense")
    with pytest.raises(InvalidRequestError, match="n: got"):
        client.sample(0)
    with pytest.raises(NotFoundError):
        client.job("0" * 32)
    with pytest.raises(TypeError, match="a list of architectures"):
        client.predict(architectures[0])
    with pytest.raises(TypeError, match="a list of names"):
        client.predict(architectures, proxies="nwot")


def test_many_from_structure_are_as_each_by_itself(client: Any) -> None:
    architectures = client.sample(200, seed=5)
    results = client.predict(architectures, proxies=[])
    assert [one.architecture for one in results] == architectures
    assert {one.rank for one in results} == {None}  # that of a part would say nothing
    for i in (0, 64, 199):
        assert client.predict([architectures[i]], proxies=[])[0].accuracy == results[i].accuracy


def test_ranks_are_over_the_whole_set(client: Any) -> None:
    architectures = [*client.sample(150, seed=6), BAD]
    architectures.append(architectures[3])
    ranked = client.rank(architectures, proxies=[])
    accuracies = [one.accuracy for one in ranked if one.ok]
    assert accuracies == sorted(accuracies, reverse=True)
    assert [one.rank for one in ranked[:-1]] == [1 + sum(b > a for b in accuracies) for a in accuracies]
    assert (ranked[-1].rank, ranked[-1].position, ranked[-1].ok) == (None, 150, False)
    assert sorted(one.position for one in ranked) == list(range(152))
    assert all(one.architecture == architectures[one.position] for one in ranked)


def test_a_vote_is_ranked_as_the_server_does_and_refused_where_it_cannot_be(client: Any, server: Server) -> None:
    architectures = client.sample(8, depth=4, seed=7)
    body = {"architectures": architectures, "proxies": CHEAP, "combiner": "vote"}
    said = [one["rank"] for one in server.client.post("/v1/predictions", json=body).json()["predictions"]]
    ranked = client.rank(architectures, proxies=CHEAP, combiner="vote")
    assert {one.position: one.rank for one in ranked} == dict(enumerate(said))
    with pytest.raises(InvalidRequestError, match="one that predicts each architecture by itself"):
        client.rank(client.sample(65, depth=4, seed=7), proxies=[], combiner="vote")


def test_with_proxies_a_long_set_is_a_job(client: Any, server: Server) -> None:
    architectures = [*client.sample(70, depth=4, seed=8), BAD]
    told: list[tuple[int, int]] = []
    before = len(client.jobs())
    results = client.predict(architectures, proxies=CHEAP, progress=lambda *now: told.append(now))
    assert len(client.jobs()) == before + 1
    assert all(isinstance(one, Prediction) and set(one.scores) == set(CHEAP) for one in results[:-1])
    assert results[-1].error.errors[0].field == "architectures[70].layers[0][0]"
    assert [one.architecture for one in results[:-1]] == architectures[:-1]
    assert told[0] == (0, 71)
    assert told[-1] == (71, 71)
    assert told == sorted(told)
    scored = count(server, "archrank_scoring_duration_seconds_count")
    again = client.score(architectures, proxies=CHEAP)
    assert count(server, "archrank_scoring_duration_seconds_count") == scored
    assert all(isinstance(one, Scores) for one in again[:-1])
    assert [one.scores for one in again[:-1]] == [one.scores for one in results[:-1]]


def test_what_the_server_makes_a_job_of_is_followed(make: Any, server: Server) -> None:
    impatient = make(server.url, timeout=1.0)  # so that the server is asked not to wait at all
    before = len(impatient.jobs())
    architectures = impatient.sample(4, depth=4, seed=100 + before)  # new ones
    results = impatient.predict(architectures, proxies=CHEAP)
    assert [one.architecture for one in results] == architectures
    assert len(impatient.jobs()) > before


def test_jobs(client: Any) -> None:
    architectures = [*client.sample(12, depth=4, seed=9), BAD]
    job = client.submit(architectures, proxies=CHEAP, idempotency_key=f"the same {type(client).__name__}")
    same = client.submit(architectures, proxies=CHEAP, idempotency_key=f"the same {type(client).__name__}")
    assert (same.id, job.kind) == (job.id, "predictions")
    results = dict(job.iter())
    assert sorted(results) == list(range(13))
    assert not results[12].ok
    assert [results[i].architecture for i in range(12)] == architectures[:12]
    told: list[tuple[int, int]] = []
    assert client.job(job.id).wait(progress=lambda *now: told.append(now)).state == "done"
    assert told == [(13, 13)]
    assert [one.ok for one in client.job(job.id).results()] == [True] * 12 + [False]
    scores = client.submit(architectures, "scores", proxies=CHEAP).results()
    assert [type(one) for one in scores] == [Scores] * 12 + [Failure]
    assert job.status().ended
    assert job.id in [one.id for one in client.jobs(5)]


def test_a_job_sends_equal_ones_too_so_that_positions_are_those_given(client: Any) -> None:
    (one,) = client.sample(1, depth=4, seed=9)
    assert [found.accuracy for found in client.submit([one, one], proxies=[]).results()]
    with pytest.raises(ArchitectureError, match=r"architectures\[1\]"):
        client.submit([one, {"weights": {1, 2}}])


def test_cancelled_jobs(client: Any) -> None:
    job = client.submit(client.sample(300, depth=4, seed=10), proxies=CHEAP, seed=len(client.jobs()))
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


def test_stopping_to_read_a_job_leaves_it_as_it_is(client: Any) -> None:
    job = client.submit(client.sample(20, depth=4, seed=11), proxies=CHEAP)
    for _ in job.iter():
        break
    assert job.wait().state == "done"


def test_what_there_is(client: Any, server: Server) -> None:
    spaces, ensembles = client.spaces(), client.ensembles()
    assert spaces == server.client.get("/v1/spaces").json()
    assert "stacked" in ensembles["gcn-nas-ntu"].combiners
    assert ensembles["gcn-nas-ntu"].metrics
    assert client.limits().model_dump().items() <= server.client.get("/v1/limits").json().items()


def test_samples(client: Any) -> None:
    few, many = client.sample(3, seed=4), client.sample(2500, seed=4)
    assert many[:3] == few
    assert len({json.dumps(one) for one in many}) == 2500
    assert client.sample(3, seed=5) != few
    assert {len(one["layers"]) for one in client.sample(20, depth=6)} == {6}


def test_validations(client: Any) -> None:
    architectures = client.sample(100, seed=4)
    found = client.validate([*architectures, BAD])
    assert all(isinstance(one, Validation) for one in found[:-1])
    assert [one.layers for one in found[:-1]] == [len(one["layers"]) for one in architectures]
    assert all(one.flops > 0 < one.parameters for one in found[:-1])
    assert not found[-1].ok


def test_arrays_are_written_as_lists(client: Any) -> None:
    (one,) = client.sample(1, depth=4, seed=4)
    mask = [[int(name in row) for name in client.spaces()["gcn-nas"]["modules"]] for row in one["layers"]]
    plain, array, row = client.predict(
        [one, {"space": "gcn-nas", "mask": np.array(mask)}, {"mask": [[np.int64(n) for n in row] for row in mask]}],
        proxies=[],
    )
    assert plain.fingerprint == array.fingerprint
    assert row.fingerprint == plain.fingerprint


def test_nothing_is_asked_for_nothing(client: Any, server: Server) -> None:
    before = count(server, "archrank_http_requests_total")
    assert (client.predict([]), client.rank([]), client.score([]), client.validate([])) == ([], [], [], [])
    assert count(server, "archrank_http_requests_total") == before + 1  # the one that counted them


def test_explanations(client: Any) -> None:
    (one,) = client.predict(client.sample(1, depth=4, seed=3), proxies=[], explain=True)
    total = one.explanation.base_value + sum(part.contribution for part in one.explanation.attributions)
    assert total == pytest.approx(one.accuracy)
    assert one.suggested_mutations[0].accuracy_gain > 0
