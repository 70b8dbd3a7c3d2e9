"""Studies over HTTP, on a real server with API keys and small limits."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models import get_space
from service.api_keys import create_key
from service.cli.demo import server
from service.settings import KeyLimits
from study import Observation, StudyDefinition, StudyPredictor
from tests.synthetic_study import VALUES, observations, sample
from tests.waiting import PATIENCE_S, PATIENT_SERVER

MAX_STUDIES, MAX_OBSERVATIONS = 40, 100
SPACE = "nas-bench-graph"
WAIT = {"Prefer": f"wait={PATIENCE_S:.0f}"}
KEYS = {
    name: create_key(name, scopes, KeyLimits())
    for name, scopes in {"me": ["predict"], "you": ["predict"], "few": ["predict"], "operator": ["admin"]}.items()
}
_names = (f"study-{number}" for number in count())


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "errors"


@pytest.fixture(scope="module")
def url(log: Path) -> Iterator[str]:
    environment = {
        **PATIENT_SERVER,
        "ARCHRANK_NUM_WORKERS": "1",
        "ARCHRANK_KEYS": "[" + ",".join(entry.model_dump_json() for _, entry in KEYS.values()) + "]",
        "ARCHRANK_MAX_STUDIES": str(MAX_STUDIES),
        "ARCHRANK_MAX_STUDY_OBSERVATIONS": str(MAX_OBSERVATIONS),
    }
    with server(environment, log) as address:
        yield address


def as_user(url: str, name: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {KEYS[name][0]}"}
    return httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False)


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with as_user(url, "me") as connection:
        yield connection


def create(client: httpx.Client, **more: Any) -> str:
    """Create a study without sources, and return its path."""
    body = {"name": next(_names), "space": SPACE, "sources": [], **more}
    response = client.post("/v1/studies", json=body)
    assert response.status_code == 201, response.text
    place: str = response.headers["location"]
    assert place == f"/v1/studies/{response.json()['id']}"
    return place


def observe(client: httpx.Client, place: str, rows: list[Any]) -> Any:
    response = client.post(f"{place}/observations", json={"observations": rows})
    assert response.status_code == 200, response.text
    return response.json()


def predict(client: httpx.Client, place: str, architectures: list[Any], wait: float = PATIENCE_S) -> Any:
    headers = {"Prefer": f"wait={wait:.0f}"}
    response = client.post(f"{place}/predictions", json={"architectures": architectures}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def suggest(client: httpx.Client, place: str, **body: Any) -> Any:
    response = client.post(f"{place}/suggestions", json=body, headers=WAIT)
    assert response.status_code == 200, response.text
    return response.json()


def assert_refused(response: httpx.Response, status: int, field: str | None = None) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    if field is not None:
        assert [error["field"] for error in problem["errors"]] == [field]
    return problem


@pytest.fixture
def place(client: httpx.Client) -> Iterator[str]:
    """Path of a new study, deleted at the end."""
    place = create(client)
    yield place
    client.delete(place)


@pytest.fixture(scope="module")
def forty(client: httpx.Client) -> str:
    """Path of a study of 40 observations, which no test changes."""
    return create(client, observations=observations(40), task="made up")


@pytest.fixture
def fitted(client: httpx.Client, forty: str) -> str:
    """Path of the study of 40 observations, whose fit is in memory: others may have displaced it since."""
    assert client.get(forty, headers=WAIT).json()["quality"]["observations"] == 40
    return forty


# Creation.


def test_a_new_study_has_the_defaults(client: httpx.Client) -> None:
    body = {"name": "with-defaults", "space": SPACE}
    response = client.post("/v1/studies", json=body)
    study = response.json()
    assert response.status_code == 201
    assert study["settings"] == get_space(SPACE).settings
    assert study["metric"] == {"name": "accuracy", "direction": "maximize", "unit": "fraction"}
    ensembles = client.get(f"/v1/spaces/{SPACE}").json()["ensembles"]
    assert study["sources"] == sorted(ensembles)
    assert study["observations"] == {"total": 0, "trained": 0, "failed": 0, "running": 0, "architectures": 0}
    assert (study["task"], study["best"]) == ("", [])
    again = client.post("/v1/studies", json=body)
    assert (again.status_code, again.json()["id"]) == (200, study["id"])
    assert again.headers["location"] == response.headers["location"]
    client.delete(response.headers["location"])


def test_fields_that_are_not_given_are_those_of_the_study(client: httpx.Client) -> None:
    metric = {"name": "error", "direction": "minimize", "unit": "percent"}
    full = {"name": next(_names), "space": SPACE, "settings": {"dataset": "arxiv"}, "task": "t", "metric": metric}
    created = client.post("/v1/studies", json={**full, "sources": []})
    rows = [{"architecture": sample(1)[0], "value": 93.5}]
    opened = client.post("/v1/studies", json={"name": full["name"], "space": SPACE, "observations": rows})
    assert opened.status_code == 200, opened.text
    assert {name: opened.json()[name] for name in full} == full
    assert opened.json()["observations"]["total"] == 1
    client.delete(created.headers["location"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("space", "gcn-nas"),
        ("settings", {"dataset": "arxiv"}),
        ("task", "another"),
        ("metric", {"direction": "minimize"}),
        ("sources", ["nas-bench-graph-cora"]),
    ],
)
def test_another_definition_of_the_name_is_a_conflict(client: httpx.Client, place: str, field: str, value: Any) -> None:
    name = client.get(place).json()["name"]
    body = {"name": name, "space": SPACE, "sources": [], "observations": [], field: value}
    if field == "space":
        del body["sources"]
    assert_refused(client.post("/v1/studies", json=body), 409, field)
    assert client.get(place).json()["observations"]["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"space": SPACE}, "name"),
        ({"name": "", "space": SPACE}, "name"),
        ({"name": "a\0b", "space": SPACE}, "name"),
        ({"name": 1, "space": SPACE}, "name"),
        ({"name": "x"}, "space"),
        ({"name": "x", "space": "nas"}, "space"),
        ({"name": "x", "space": SPACE, "settings": {"data": "cora"}}, "settings"),
        ({"name": "x", "space": SPACE, "settings": {"dataset": "mine"}}, "dataset"),
        ({"name": "x", "space": SPACE, "task": "a\nb"}, "task"),
        ({"name": "x", "space": SPACE, "metric": {"direction": "up"}}, "metric.direction"),
        ({"name": "x", "space": SPACE, "metric": {"unit": "km"}}, "metric.unit"),
        ({"name": "x", "space": SPACE, "metric": {"goal": 1}}, "field"),
        ({"name": "x", "space": SPACE, "sources": ["nobody"]}, "sources[0]"),
        ({"name": "x", "space": SPACE, "sources": ["gcn-nas-ntu"]}, "sources[0]"),
        ({"name": "x", "space": SPACE, "sources": ["nas-bench-graph-cora"] * 2}, "sources[1]"),
        ({"name": "x", "space": SPACE, "source": []}, "field"),
    ],
)
def test_malformed_studies(client: httpx.Client, body: Any, field: str) -> None:
    assert_refused(client.post("/v1/studies", json=body), 422, field)


def test_a_study_with_malformed_observations_is_not_created(client: httpx.Client) -> None:
    body = {"name": "malformed", "space": SPACE, "observations": [*observations(2), {"architecture": sample(1)[0]}]}
    assert_refused(client.post("/v1/studies", json=body), 422, "observations[2].value")
    assert client.get("/v1/studies", params={"name": "malformed"}).json()["studies"] == []


def test_maximum_number_of_studies(url: str) -> None:
    with as_user(url, "few") as client:
        for number in range(MAX_STUDIES):
            create(client, name=f"one-of-many-{number}")
        body = {"name": "one-more", "space": SPACE, "sources": []}
        assert_refused(client.post("/v1/studies", json=body), 422, "studies (number)")
        assert client.post("/v1/studies", json={**body, "name": "one-of-many-0"}).status_code == 200
        client.delete(f"/v1/studies/{client.get('/v1/studies').json()['studies'][0]['id']}")
        assert client.post("/v1/studies", json=body).status_code == 201


# Owners.


def test_studies_are_visible_to_their_owner_and_to_operators(client: httpx.Client, url: str, place: str) -> None:
    name = client.get(place).json()["name"]
    observation = observe(client, place, observations(1))
    identifier = client.get(f"{place}/observations").json()["observations"][0]["id"]
    with as_user(url, "you") as other:
        calls = [
            other.get(place),
            other.get(f"{place}/export"),
            other.get(f"{place}/observations"),
            other.post(f"{place}/observations", json={"observations": observations(2)}),
            other.post(f"{place}/predictions", json={"architectures": sample(1)}),
            other.post(f"{place}/suggestions", json={}),
            other.delete(f"{place}/observations/{identifier}"),
            other.delete(place),
        ]
        for response in calls:
            assert_refused(response, 404)
        assert other.get("/v1/studies", params={"name": name}).json()["studies"] == []
        own = create(other, name=name)
        assert own != place
        other.delete(own)
    with as_user(url, "operator") as operator:
        assert operator.get(place).json()["name"] == name
        assert_refused(operator.post(f"{place}/suggestions", json={}), 403)
    assert client.get(place).json()["observations"]["total"] == observation["observations"] == 1


@pytest.mark.parametrize("path", ["", "/export", "/observations"])
def test_a_study_that_does_not_exist(client: httpx.Client, path: str) -> None:
    assert_refused(client.get(f"/v1/studies/{'0' * 32}{path}"), 404)


def test_list(client: httpx.Client, fitted: str, place: str) -> None:
    studies = client.get("/v1/studies").json()["studies"]
    paths = [f"/v1/studies/{study['id']}" for study in studies]
    assert paths.index(place) < paths.index(fitted)
    (listed,) = client.get("/v1/studies", params={"name": client.get(fitted).json()["name"]}).json()["studies"]
    state = client.get(fitted).json()
    state["quality"]["curve"] = None
    assert listed == state
    assert len(client.get("/v1/studies", params={"limit": 1}).json()["studies"]) == 1
    assert_refused(client.get("/v1/studies", params={"names": "x"}), 422)


def test_a_deleted_study(client: httpx.Client) -> None:
    place = create(client, observations=observations(3))
    assert client.delete(place).status_code == 204
    assert_refused(client.get(place), 404)
    assert_refused(client.delete(place), 404)
    assert_refused(client.post(f"{place}/observations", json={"observations": observations(1)}), 404)


# Observations.


def test_repeated_observations_count_once(client: httpx.Client, place: str) -> None:
    rows = observations(5)
    assert observe(client, place, rows) == {"added": 5, "duplicates": 0, "observations": 5}
    assert observe(client, place, [*rows, *observations(7), *rows]) == {"added": 2, "duplicates": 15, "observations": 7}
    assert client.get(place).json()["observations"] == {
        "total": 7,
        "trained": 7,
        "failed": 0,
        "running": 0,
        "architectures": 7,
    }


def test_all_fields_of_an_observation(client: httpx.Client, place: str) -> None:
    first, second = sample(2)
    rows = [
        {"architecture": first, "value": 0.5, "seconds": 71.5, "epochs": 3, "curve": [0.1, 0.3, 0.5]},
        {"architecture": second, "value": None, "error": "out of memory"},
    ]
    observe(client, place, rows)
    page = client.get(f"{place}/observations").json()
    assert page["next"] is None
    empty = {"error": None, "seconds": None, "epochs": None, "curve": None, "predicted": None}
    for row, item in zip(rows, page["observations"], strict=True):
        assert len(item.pop("id")) == 32
        assert item == {**empty, **row}
    counts = client.get(place).json()["observations"]
    assert counts == {"total": 2, "trained": 1, "failed": 1, "running": 0, "architectures": 2}


def test_a_training_that_runs_is_predicted_from_its_curve(client: httpx.Client, place: str) -> None:
    architectures = sample(24)
    values = np.linspace(0.5, 0.9, 23).tolist()
    rows = [
        {"architecture": architecture, "value": value, "curve": [value - 0.3, value - 0.1, value]}
        for architecture, value in zip(architectures, values, strict=False)
    ]
    running = {"architecture": architectures[23], "value": None, "curve": [0.45]}
    observe(client, place, [*rows, running])
    body = {"architectures": [architectures[23], architectures[0]]}
    answer = client.post(f"{place}/predictions", json=body, headers=WAIT).json()
    first, second = answer["predictions"]
    assert (first["curve_length"], second["curve_length"]) == (1, None)
    assert first["value"] == pytest.approx(0.75, abs=0.03)
    assert first["interval"]["low"] <= first["value"] <= first["interval"]["high"]
    counts = client.get(place).json()["observations"]
    assert counts == {"total": 24, "trained": 23, "failed": 0, "running": 1, "architectures": 24}
    observe(client, place, [running | {"curve": None, "value": 0.8}])
    answer = client.post(f"{place}/predictions", json=body, headers=WAIT).json()
    assert answer["predictions"][0]["curve_length"] is None
    assert client.get(place).json()["observations"]["running"] == 0


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"value": 0.5}, "observations[1].architecture"),
        ({"architecture": "X"}, "observations[1].value"),
        ({"architecture": "X", "value": 93.1}, "observations[1].value"),
        ({"architecture": "X", "value": "0.9"}, "observations[1].value"),
        ({"architecture": "X", "value": True}, "observations[1].value"),
        ({"architecture": "X", "value": 0.5, "error": "no"}, "observations[1].error"),
        ({"architecture": "X", "value": 0.5, "seconds": -1}, "observations[1].seconds"),
        ({"architecture": "X", "value": 0.5, "epochs": 1.5}, "observations[1].epochs"),
        ({"architecture": "X", "value": 0.5, "curve": [0.1, 2]}, "observations[1].curve[1]"),
        ({"architecture": "X", "value": 0.5, "accuracy": 1}, "observations[1].accuracy"),
        (7, "observations[1]"),
    ],
)
def test_one_malformed_observation_refuses_all(client: httpx.Client, place: str, row: Any, field: str) -> None:
    if isinstance(row, dict) and row.get("architecture") == "X":
        row = {**row, "architecture": sample(1)[0]}
    body = {"observations": [*observations(1), row]}
    assert_refused(client.post(f"{place}/observations", json=body), 422, field)
    assert client.get(place).json()["observations"]["total"] == 0


def test_malformed_architecture_of_an_observation(client: httpx.Client, place: str) -> None:
    body = {"observations": [{"architecture": {"space": "gcn-nas", "layers": [["S"]]}, "value": 0.5}]}
    problem = assert_refused(client.post(f"{place}/observations", json=body), 422)
    assert problem["errors"][0]["field"].startswith("observations[0].architecture")


def test_maximum_number_of_observations(client: httpx.Client, place: str) -> None:
    rows = observations(MAX_OBSERVATIONS + 1)
    body = {"observations": rows}
    assert_refused(client.post(f"{place}/observations", json=body), 422, "observations (number)")
    assert client.get(place).json()["observations"]["total"] == 0
    observe(client, place, rows[:-1])
    assert observe(client, place, rows[:-1])["duplicates"] == MAX_OBSERVATIONS


@pytest.mark.parametrize("body", [{}, {"observations": []}, {"observations": {}}, {"observation": []}])
def test_malformed_bodies(client: httpx.Client, place: str, body: Any) -> None:
    assert_refused(client.post(f"{place}/observations", json=body), 422)


def test_pages_of_observations(client: httpx.Client, fitted: str) -> None:
    items, path = [], f"{fitted}/observations?limit=15"
    while path:
        page = client.get(path).json()
        items += page["observations"]
        path = page["next"]
    assert [item["value"] for item in items] == [row["value"] for row in observations(40)]
    assert all(0 <= item["predicted"] <= 1 for item in items)
    assert any(item["predicted"] != item["value"] for item in items)


def test_a_mistaken_observation_is_deleted(client: httpx.Client, place: str) -> None:
    observe(client, place, observations(30))
    expected = predict(client, place, sample(5, seed=9))["predictions"]
    observe(client, place, [{"architecture": sample(1, seed=5)[0], "value": 0.0}])
    assert predict(client, place, sample(5, seed=9))["predictions"] != expected
    mistaken = client.get(f"{place}/observations?after=30").json()["observations"][0]["id"]
    assert client.delete(f"{place}/observations/{mistaken}").status_code == 204
    assert_refused(client.delete(f"{place}/observations/{mistaken}"), 404)
    assert_refused(client.delete(f"{place}/observations/x"), 422)
    assert predict(client, place, sample(5, seed=9))["predictions"] == expected


# Predictions.


def test_predictions_are_those_of_the_library(client: httpx.Client, fitted: str) -> None:
    state = client.get(fitted).json()
    space = get_space(SPACE, **state["settings"])
    definition = StudyDefinition(state["name"], SPACE, state["settings"], state["task"])
    rows = [Observation.from_json(space, row) for row in observations(40)]
    architectures = sample(8, seed=3)
    predictor = StudyPredictor.fit(definition, space, rows)
    expected = predictor.predict([space.parse(architecture) for architecture in architectures])
    answer = predict(client, fitted, architectures)
    assert (answer["observations"], answer["pending"]) == (40, 0)
    assert set(predictor.notes) <= set(answer["notes"])
    for item, prediction in zip(answer["predictions"], expected, strict=True):
        assert prediction.value is not None
        assert prediction.interval is not None
        assert item["value"] == pytest.approx(prediction.value)
        assert item["score"] == pytest.approx(prediction.score)
        assert item["percentile"] == pytest.approx(prediction.percentile)
        assert item["interval"] == pytest.approx(vars(prediction.interval))


def test_no_value_below_20_trained_architectures(client: httpx.Client, place: str) -> None:
    observe(client, place, observations(19))
    answer = predict(client, place, sample(2))
    assert answer["observations"] == 19
    assert all(item["value"] is None and item["interval"] is None for item in answer["predictions"])
    assert any("20" in note for note in answer["notes"])


def test_sources_predict_before_the_first_observation(client: httpx.Client) -> None:
    place = create(client, sources=["nas-bench-graph-cora", "nas-bench-graph-cs"])
    answer = predict(client, place, sample(6))
    assert len({item["score"] for item in answer["predictions"]}) > 1
    assert "nas-bench-graph-cora" in " ".join(answer["notes"])
    client.delete(place)


def test_the_order_of_observations_does_not_matter(client: httpx.Client) -> None:
    rows = observations(30)
    first, second = create(client, observations=rows), create(client)
    shuffled = random.Random(0).sample(rows, len(rows))
    for start in range(0, 30, 7):
        observe(client, second, shuffled[start : start + 10])
    architectures = sample(10, seed=4)
    predictions = [predict(client, place, architectures)["predictions"] for place in (first, second)]
    assert predictions[0] == predictions[1]
    for place in (first, second):
        client.delete(place)


def test_malformed_architectures_have_an_error(client: httpx.Client, fitted: str) -> None:
    (good,) = sample(1)
    broken = {"space": SPACE, "link": [0, 0, 0, 9], "ops": ["gcn"] * 4}
    answer = predict(client, fitted, [good, broken, {"space": "gcn-nas"}, good])
    first, *errors, last = answer["predictions"]
    assert first == last
    assert [error["error"]["instance"] for error in errors] == ["#/architectures/1", "#/architectures/2"]
    response = client.post(f"{fitted}/predictions", json={"architectures": [broken]})
    assert_refused(response, 422)
    assert_refused(client.post(f"{fitted}/predictions", json={"architectures": []}), 422, "architectures")


def test_an_answer_during_a_refit_is_from_the_last_fit(client: httpx.Client, place: str) -> None:
    """No answer waits for the refit, or is of a mixture; the counts say what it rests on."""
    observe(client, place, observations(30))
    architectures = sample(3, seed=4)
    expected = {30: predict(client, place, architectures)["predictions"]}
    observe(client, place, observations(90))
    answers = [predict(client, place, architectures, wait=0)]
    while answers[-1]["observations"] != 90:
        answers.append(predict(client, place, architectures, wait=0))
    expected[90] = answers[-1]["predictions"]
    assert expected[30] != expected[90]
    for answer in answers:
        assert answer["observations"] + answer["pending"] == 90
        assert answer["predictions"] == expected[answer["observations"]]


# Suggestions.


def test_suggestions_are_neither_observed_nor_reserved(client: httpx.Client, place: str) -> None:
    candidates = sample(30)
    observe(client, place, [{"architecture": candidates[0], "value": 0.5}])
    received = [suggest(client, place, number=10, candidates=candidates) for _ in range(4)]
    assert [len(answer["suggestions"]) for answer in received] == [10, 10, 9, 0]
    architectures = [json.dumps(item["architecture"]) for answer in received for item in answer["suggestions"]]
    assert sorted(architectures) == sorted(json.dumps(architecture) for architecture in candidates[1:])


def test_suggestions_without_reservation_are_repeatable(client: httpx.Client, fitted: str) -> None:
    first = suggest(client, fitted, number=3, seed=1, reserve=False)
    assert first == suggest(client, fitted, number=3, seed=1, reserve=False)
    assert len(first["suggestions"]) == 3
    assert {"score", "percentile", "value", "interval"} <= first["suggestions"][0].keys()


def test_a_repeated_request_has_the_same_suggestions(client: httpx.Client, place: str) -> None:
    candidates = sample(30)

    def post(key: str, **body: Any) -> httpx.Response:
        body = {"number": 10, "candidates": candidates, **body}
        return client.post(f"{place}/suggestions", json=body, headers=WAIT | {"Idempotency-Key": key})

    def architectures(answer: Any) -> list[Any]:
        return [item["architecture"] for item in answer["suggestions"]]

    first = post("first").json()
    assert post("first").json() == first
    observe(client, place, [{"architecture": each, "value": i / 20} for i, each in enumerate(architectures(first))])
    again = post("first").json()
    assert architectures(again) == architectures(first)
    assert (first["observations"], again["observations"]) == (0, 10)
    assert [item["score"] for item in again["suggestions"]] != [item["score"] for item in first["suggestions"]]
    rest = [post(key).json() for key in ("second", "second", "third", "fourth")]
    assert rest[0] == rest[1]
    assert [len(architectures(answer)) for answer in rest] == [10, 10, 10, 0]
    suggested = [json.dumps(each) for answer in (first, rest[0], rest[2]) for each in architectures(answer)]
    assert sorted(suggested) == sorted(map(json.dumps, candidates))
    for body in ({"number": 9}, {"seed": 1}, {"candidates": candidates[1:]}, {"candidates": None}):
        assert_refused(post("first", **body), 409, "Idempotency-Key")
    assert_refused(post("k" * 201), 422, "idempotency-key")
    other = create(client)
    assert len(client.post(f"{other}/suggestions", json={}, headers={"Idempotency-Key": "first"}).json()["suggestions"])
    client.delete(other)


def test_attempts_at_once_have_the_same_suggestions(url: str, client: httpx.Client, place: str) -> None:
    observe(client, place, observations(25))
    candidates = sample(40, seed=6)

    def post(_: int) -> Any:
        with as_user(url, "me") as worker:
            headers = WAIT | {"Idempotency-Key": "once"}
            body = {"number": 5, "candidates": candidates}
            return worker.post(f"{place}/suggestions", json=body, headers=headers).json()["suggestions"]

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(post, range(4))
    assert len(first) == 5
    assert others == [first] * 3
    free = suggest(client, place, number=40, candidates=candidates)["suggestions"]
    assert len(free) == 40 - 5  # nothing else was reserved


def test_workers_receive_different_suggestions(client: httpx.Client, url: str, place: str) -> None:
    observe(client, place, observations(25))
    candidates = sample(40, seed=6)

    def work(number: int) -> list[Any]:
        with as_user(url, "me") as worker:
            answers = [suggest(worker, place, number=5, candidates=candidates)["suggestions"] for _ in range(3)]
        return [json.dumps(item["architecture"]) for answer in answers for item in answer]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, range(2))
    assert len(first) + len(second) >= 25
    assert len({*first, *second}) == len(first) + len(second)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"number": 0}, "number"),
        ({"number": 101}, "number"),
        ({"number": "5"}, "number"),
        ({"seed": -1}, "seed"),
        ({"reserve": 1}, "reserve"),
        ({"candidates": []}, "candidates"),
        ({"n": 5}, "field"),
    ],
)
def test_malformed_suggestions(client: httpx.Client, fitted: str, body: Any, field: str) -> None:
    assert_refused(client.post(f"{fitted}/suggestions", json=body), 422, field)


def test_malformed_candidate(client: httpx.Client, fitted: str) -> None:
    body = {"candidates": [*sample(1), {"space": "gcn-nas"}]}
    assert_refused(client.post(f"{fitted}/suggestions", json=body), 422, "candidates[1].space")


# State.


def test_state(client: httpx.Client, fitted: str) -> None:
    state = client.get(fitted).json()
    assert state["fitted"] == {"observations": 40, "trained": 40}
    assert state["observations"] == {"total": 40, "trained": 40, "failed": 0, "running": 0, "architectures": 40}
    values = [item["value"] for item in state["best"]]
    assert values == sorted(VALUES[:40], reverse=True)[:10]
    quality = state["quality"]
    assert (quality["observations"], quality["trained"]) == (40, 40)
    assert -1 <= quality["spearman"] <= 1
    assert quality["sources_spearman"] is None
    assert quality["curve"][-1]["n"] == 40
    assert state["created_at"] <= state["updated_at"]


def test_best_of_a_metric_to_minimize(client: httpx.Client) -> None:
    place = create(client, metric={"direction": "minimize"}, observations=observations(12))
    values = [item["value"] for item in client.get(place).json()["best"]]
    assert values == sorted(VALUES[:12])[:10]
    client.delete(place)


# Export and import.


def test_export_and_import(client: httpx.Client, url: str) -> None:
    failed = {"architecture": sample(1, seed=8)[0], "value": None, "error": "NaN loss", "seconds": 3.5}
    place = create(client, observations=[*observations(25), failed], task="made up", metric={"name": "F1"})
    exported = client.get(f"{place}/export").json()
    architectures = sample(4, seed=7)
    expected = predict(client, place, architectures)["predictions"]
    assert client.post("/v1/studies/import", json=exported).status_code == 200
    with as_user(url, "you") as other:
        response = other.post("/v1/studies/import", json=exported)
        assert response.status_code == 201, response.text
        imported = response.headers["location"]
        assert other.get(f"{imported}/export").json() == exported
        assert predict(other, imported, architectures)["predictions"] == expected
        again = other.post("/v1/studies/import", json=exported)
        assert (again.status_code, again.headers["location"]) == (200, imported)
        other.delete(imported)
    client.delete(place)


def test_import_with_a_source_that_is_not_loaded(client: httpx.Client, place: str) -> None:
    exported = client.get(f"{place}/export").json()
    exported["study"] |= {"name": "from-elsewhere", "sources": ["nas-bench-graph-cora", "elsewhere"]}
    response = client.post("/v1/studies/import", json=exported)
    assert response.status_code == 201, response.text
    answer = predict(client, response.headers["location"], sample(2))
    assert any("source elsewhere is not loaded" in note for note in answer["notes"])
    client.delete(response.headers["location"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda document: document.pop("format"), "format"),
        (lambda document: document.update(format="archrank-study-9"), "format"),
        (lambda document: document.update(more=1), "field"),
        (lambda document: document["study"].pop("metric"), "study.metric"),
        (lambda document: document["study"].update(space="nas"), "study.space"),
        (lambda document: document["study"].update(sources=["gcn-nas-ntu"]), "study.sources[0]"),
        (lambda document: document["observations"][0].update(value=7), "observations[0].value"),
        (lambda document: document["observations"].append(3), "observations[1]"),
    ],
)
def test_malformed_imports(client: httpx.Client, place: str, change: Callable[[Any], Any], field: str) -> None:
    observe(client, place, observations(1))
    document = client.get(f"{place}/export").json()
    document["study"]["name"] = "malformed-import"
    change(document)
    assert_refused(client.post("/v1/studies/import", json=document), 422, field)
    assert client.get("/v1/studies", params={"name": "malformed-import"}).json()["studies"] == []


# The server beside a fit.


def test_the_server_answers_during_a_fit(client: httpx.Client, place: str) -> None:
    observe(client, place, observations(MAX_OBSERVATIONS))
    health = 0
    while (client.get(place).json()["fitted"] or {"observations": 0})["observations"] < MAX_OBSERVATIONS:
        assert client.get("/health/live").status_code == 200
        health += 1
        time.sleep(0.01)
    assert health


def test_requests_of_a_study_that_is_deleted_meanwhile_do_not_find_it(client: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            place = create(client)
            observe(client, place, observations(MAX_OBSERVATIONS))
            request = pool.submit(client.post, f"{place}/predictions", json={"architectures": sample(1)})
            assert client.delete(place).status_code == 204
            assert request.result().status_code in (200, 404), request.result().text


def test_the_log_has_no_error(client: httpx.Client, fitted: str, log: Path) -> None:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines
    assert [line for line in lines if line["level"] in ("error", "critical")] == []


def test_methods_and_queries(client: httpx.Client, fitted: str) -> None:
    for method in ("OPTIONS", "GET", "DELETE"):
        response = client.request(method, "/v1/studies/import")
        assert_refused(response, 405)
        assert response.headers["allow"] == "POST"
    assert_refused(client.get("/v1/studies?name=a&name=b"), 422, "name")
    assert_refused(client.get(f"{fitted}/observations?limit=0"), 422, "limit")


def test_notes_say_that_little_is_known_before_the_first_fit(client: httpx.Client) -> None:
    response = client.post("/v1/studies", json={"name": "not-fitted-yet", "space": SPACE, "sources": []})
    assert response.status_code == 201, response.text
    assert "0 trained architectures: scores and percentiles only" in " ".join(response.json()["notes"])
    client.delete(response.headers["location"])
