"""Export and import: exact round trips through JSON; malformed documents are refused by field."""

import json
from dataclasses import replace
from typing import Any

import pytest

from common.errors import InputError
from study import Observation, StudyPredictor, estimate_quality, export_study, import_study, state_document
from study.predictor import few_rows_note
from tests.study.conftest import SPACE, definition, observations


def document() -> dict[str, Any]:
    rows = [replace(item, seconds=1 / 3, epochs=3, curve=(0.1, 0.2)) for item in observations(4)]
    rows.append(Observation(observations(1, seed=2)[0].architecture, None, "out of memory"))
    return export_study(definition("minimize", "percent"), SPACE, rows)


def test_round_trip() -> None:
    exported = document()
    restored, space, rows = import_study(json.loads(json.dumps(exported)))
    assert restored == definition("minimize", "percent")
    assert space.settings == SPACE.settings
    assert export_study(restored, space, rows[::-1] + rows) == exported
    assert len(rows) == 5


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return a document with another value at a path; `...` removes the field."""
    result: Any = document()
    *parents, last = path.split("/")
    item = result
    for name in parents:
        item = item[int(name) if name.isdigit() else name]
    if value is ...:
        del item[last]
    else:
        item[last] = value
    return result  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "x", "format: got 'x'; allowed: \"archrank-study-1\""),
        ("study", ..., "document.study: got None; allowed: a value: the field is missing"),
        ("extra", 1, "document.extra: got 1; allowed: only the fields format, study, observations"),
        ("study/name", "a b", "study.name: got 'a b'; allowed: 1 to 100 letters"),
        ("study/space", "x", "study.space: got 'x'; allowed: one of"),
        ("study/space", 3, "study.space: got 3; allowed: the name of a search space"),
        ("study/settings", {"dataset": "x"}, "study.dataset: got 'x'; allowed: one of"),
        ("study/settings", [], "study.settings: got []; allowed: an object"),
        ("study/metric/unit", "x", "study.metric.unit: got 'x'; allowed: one of fraction, percent, number"),
        ("study/metric/unit", ["x"], "study.metric.unit: got ['x']; allowed: one of fraction, percent, number"),
        ("study/sources", "x", "study.sources: got 'x'; allowed: a list of names of ensembles"),
        ("study/sources", [1], "study.sources[0]: got 1; allowed: a printable text"),
        ("observations/0/value", 101, "observations[0].value: got 101; allowed: 0 to 100, as the unit is percent"),
    ],
)
def test_malformed_documents(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        import_study(changed(path, value))
    assert str(caught.value).startswith(message)


def test_settings_that_are_not_given_have_their_defaults() -> None:
    restored, space, _ = import_study(changed("study/settings", {"dataset": "cora"}))
    assert restored.settings == space.settings == SPACE.settings
    partial, space, _ = import_study(changed("study/settings", {}))
    assert partial.settings == space.settings != {}


def test_state_counts_and_lists_the_best() -> None:
    rows = observations(12)
    failed = [rows[1].architecture, observations(1, seed=9)[0].architecture]
    again = [replace(rows[0], value=0.0), *(Observation(architecture, None) for architecture in failed)]
    state = state_document(definition(), SPACE, rows + again, id="x")
    assert state["observations"] == {"total": 15, "trained": 12, "failed": 1, "architectures": 13}
    assert (state["fitted"], state["quality"], state["notes"], state["id"]) == (None, None, [few_rows_note(12)], "x")
    values = [item["value"] for item in state["best"]]
    assert len(values) == 10
    assert values == sorted(values, reverse=True)
    assert rows[0].value is not None
    minimized = state_document(definition("minimize"), SPACE, rows + again)
    assert minimized["best"][0]["value"] == rows[0].value / 2


def test_state_is_json_with_the_fit_that_it_rests_on() -> None:
    rows = observations(25)
    predictor = StudyPredictor.fit(definition(), SPACE, rows)
    quality = estimate_quality(predictor)
    state = state_document(definition(), SPACE, [*rows, *observations(2, 5)], predictor, quality)
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert state["fitted"] == {"observations": 25, "trained": 25}
    assert state["observations"]["total"] == 27
    assert [point["n"] for point in state["quality"]["curve"]] == [10, 20, 25]
