"""Studies on a folder: the same answers after reopening; several processes and kills lose nothing."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import InputError
from study import LocalStudy, StudyPredictor
from study.folder import OBSERVATIONS
from tests.conftest import ROOT
from tests.study.conftest import SPACE, architectures, definition, observations
from tests.waiting import PATIENCE_S

WRITER = """
import sys
from pathlib import Path
from study import LocalStudy
from tests.study.conftest import observations

study = LocalStudy.open(sys.argv[1])
for item in observations(int(sys.argv[3]), seed=int(sys.argv[2])):
    study.observe([item])
    print(item.id, flush=True)
"""


def test_answers_after_reopening(tmp_path: Path) -> None:
    study = LocalStudy.create(tmp_path / "runs" / "a", definition())
    rows = observations(25)
    assert (study.observe(rows[:20]), study.observe(rows[10:])) == (20, 5)
    reopened = LocalStudy.open(study.folder)
    assert reopened.definition == definition()
    assert reopened.observations() == rows
    test = architectures(5, seed=3)
    expected = StudyPredictor.fit(definition(), SPACE, rows).predict(test)
    assert study.predict(test) == reopened.predict(test) == expected
    assert study.suggest(3) == reopened.suggest(3)
    assert study.state() == reopened.state()
    assert len(reopened.export()["observations"]) == 25


def test_predictions_follow_new_observations(tmp_path: Path) -> None:
    study, other = LocalStudy.create(tmp_path, definition()), LocalStudy.open(tmp_path)
    rows, test = observations(30), architectures(5, seed=3)
    study.observe(rows[:20])
    before = study.predict(test)
    other.observe(rows[20:])
    assert study.predictor().num_observations == 30
    assert study.predict(test) != before


def test_another_definition_is_refused(tmp_path: Path) -> None:
    LocalStudy.create(tmp_path, definition())
    assert LocalStudy.create(tmp_path, definition()).definition == definition()
    with pytest.raises(InputError, match=r"metric: got .*minimize.*, or another folder"):
        LocalStudy.create(tmp_path, definition("minimize"))
    with pytest.raises(InputError, match="sources: got 'x'; allowed: one of nas-bench-graph-arxiv"):
        LocalStudy.create(tmp_path / "b", definition(sources=("x",)))
    with pytest.raises(InputError, match="an existing file"):
        LocalStudy.open(tmp_path / "missing")


def test_malformed_lines_are_refused(tmp_path: Path) -> None:
    study = LocalStudy.create(tmp_path, definition())
    (tmp_path / OBSERVATIONS).write_text('{"architecture": 1, "value": 0.5}\n')
    with pytest.raises(InputError, match=r"observations\.jsonl line 1\.architecture: got 1"):
        study.observations()


def test_an_incomplete_line_is_skipped_and_replaced_wherever_it_is_cut(tmp_path: Path) -> None:
    study, rows = LocalStudy.create(tmp_path, definition()), observations(3)
    study.observe(rows)
    path = tmp_path / OBSERVATIONS
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(ends[1], len(content)):
        path.write_bytes(content[:cut])
        assert study.observations() == rows[:2]
        assert study.observe(rows[2:]) == 1
        assert path.read_bytes() == content


def test_processes_that_append_at_once_lose_nothing_when_one_is_killed(tmp_path: Path) -> None:
    study = LocalStudy.create(tmp_path, definition())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(seed), "40"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        for seed in (1, 2, 3)
    ]
    try:
        victim = writers[0]
        assert victim.stdout is not None
        confirmed = {victim.stdout.readline().strip() for _ in range(3)}
        victim.send_signal(signal.SIGKILL)
        confirmed |= set(victim.stdout.read().split())
        for writer in writers[1:]:
            output, _ = writer.communicate(timeout=PATIENCE_S)
            assert writer.returncode == 0
            confirmed |= set(output.split())
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    stored = [item.id for item in study.observations()]
    assert len(stored) == len(set(stored))
    assert confirmed <= set(stored)
    assert {item.id for seed in (2, 3) for item in observations(40, seed=seed)} <= set(stored)
    study.observe(observations(40, seed=1))  # the killed worker's, again
    everything = {item.id for seed in (1, 2, 3) for item in observations(40, seed=seed)}
    assert {item.id for item in study.observations()} == everything
    for line in (tmp_path / OBSERVATIONS).read_bytes().splitlines():
        json.loads(line)


def test_settings_that_are_not_given_have_their_defaults(tmp_path: Path) -> None:
    partial = LocalStudy.create(tmp_path, replace(definition(), settings={}))
    assert partial.definition.settings == SPACE.settings
    assert (
        LocalStudy.create(tmp_path, definition()).definition
        == partial.definition
        == LocalStudy.open(tmp_path).definition
    )
