"""`archrank search --objective`: real processes, killed, interrupted and resumed; the study behind it; its files."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from models import get_space
from search.command_runner import is_locked
from service.cli import app
from study.folder import LocalStudy
from tests.waiting import PATIENCE_S

SPACE = get_space("nas-bench-graph")
TRAIN = r"""
n=$(printf %s "$1" | cksum | cut -d' ' -f1)
echo "start $n" >> "$LOG"
sleep "${SLEEP:-0}"
if [ $((n % 5)) = 0 ]; then echo "out of memory" >&2; exit 3; fi
echo "end $n" >> "$LOG"
echo "epoch 1: 0.1"
echo "0.$((n % 9000 + 1000))"
"""
"""Training script: appends to $LOG, fails for a fifth of all architectures."""
WITH_SIGINT = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("service.cli", run_name="__main__")
"""
"""Restores SIGINT, which background processes of a shell ignore, and their children with them."""
FILES = {"search.jsonl", "search.jsonl.lock", "result.json", "trials.csv", "search.svg", "study"}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Objective of the training script."""
    (tmp_path / "train.sh").write_text(TRAIN)
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return f"command:sh {tmp_path}/train.sh {{architecture}}"


def archrank(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, ["search", "--space", "nas-bench-graph", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def searched(out: Path, *arguments: str | Path) -> Any:
    result = archrank("--out", out, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == json.loads((out / "result.json").read_text())
    return json.loads(result.stdout)


def num_ended(out: Path) -> int:
    log = out / "search.jsonl"
    return log.read_bytes().count(b'\n{"number"') if log.exists() else 0


def start(out: Path, *arguments: str) -> "subprocess.Popen[str]":
    options = ["search", "--space", "nas-bench-graph", "--out", str(out), *arguments]
    return subprocess.Popen(
        [sys.executable, "-c", WITH_SIGINT, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process: "subprocess.Popen[str]", condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def test_a_command_is_trained_and_failures_are_kept(command: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = searched(out, "--objective", command, "--no-sources", "--budget", "24", "--slots", "3", "--task", "mine")
    assert {path.name for path in out.iterdir()} == FILES | {"trainings"}
    with (out / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), result["num_trials"], result["state"]) == (24, 24, "done")
    failed = [row for row in rows if row["error"]]
    assert len(failed) == result["num_failed"] > 0
    assert {row["error"] for row in failed} == {"exit code 3; standard error: out of memory"}
    assert all((row["value"] == "") == bool(row["error"]) for row in rows)
    values = sorted((float(row["value"]) for row in rows if row["value"]), reverse=True)
    assert [row["value"] for row in result["best"]] == values[:10]
    assert result["pareto_front"][-1]["value"] == values[0]
    study = LocalStudy.open(out / "study")
    assert (study.definition.task, study.definition.sources) == ("mine", ())
    observed = Counter(SPACE.parse(json.loads(row["architecture"])).key for row in rows)
    assert Counter(item.architecture.key for item in study.observations()) == observed
    assert study.predictor().num_trained == len(values)
    more = searched(out, "--objective", command, "--no-sources", "--budget", "26", "--task", "mine")
    assert more["num_trials"] == 26
    assert (tmp_path / "log").read_text().count("start") == 26


def test_a_search_killed_twice_loses_and_repeats_nothing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, budget = tmp_path / "out", 14
    monkeypatch.setenv("SLEEP", "0.5")
    arguments = ("--objective", command, "--strategy", "evolution", "--no-sources", "--slots", "2", "--budget")
    for target in (2, 5):
        process = start(out, *arguments, str(budget))
        wait_for(process, lambda target=target: num_ended(out) >= target)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start(out, *arguments, str(budget))
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    lines = Counter((tmp_path / "log").read_text().splitlines())
    assert sum(line.startswith("start") for line in lines) == budget
    assert set(lines.values()) == {1}
    assert num_ended(out) == budget
    assert LocalStudy.open(out / "study").predictor().num_observations == budget


def lock_words(folder: Path) -> list[str]:
    """Return the process ids in a training's lock; none before it runs."""
    return (folder / "lock").read_text().split() if is_locked(folder) else []


def test_ctrl_c_ends_the_trainings_and_the_same_command_goes_on(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = ("--objective", command, "--strategy", "random", "--no-sources", "--slots", "2", "--budget", "6")
    monkeypatch.setenv("SLEEP", "600")
    process = start(out, *arguments)
    folders = [out / "trainings" / name for name in ("0001", "0002")]
    wait_for(process, lambda: all(len(lock_words(folder)) == 2 for folder in folders) and (tmp_path / "log").exists())
    pids = [int(lock_words(folder)[1]) for folder in folders]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "interrupted after 0 of 6 trials; the same command resumes the search" in errors
    assert "Traceback" not in errors
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)
    assert json.loads((out / "result.json").read_text())["state"] == "interrupted"
    monkeypatch.setenv("SLEEP", "0")
    assert searched(out, *arguments)["num_trials"] == 6


def test_time_outs_and_values_out_of_range_are_failures(tmp_path: Path) -> None:
    options = ("--strategy", "random", "--no-sources", "--budget", "2")
    slow = searched(tmp_path / "slow", "--objective", "command:sleep 600", "--timeout", "0.2", *options)
    percent = searched(tmp_path / "percent", "--objective", "command:echo 93", *options)
    assert slow["num_failed"] == percent["num_failed"] == 2
    assert "time-out after 0.2 s" in (tmp_path / "slow" / "trials.csv").read_text()
    assert "write 0.93 for this percentage" in percent["last_error"]
    assert percent["last_error"] in (tmp_path / "percent" / "trials.csv").read_text()
    fixed = searched(tmp_path / "unit", "--objective", "command:echo 93", "--unit", "percent", *options)
    assert [row["value"] for row in fixed["best"]] == [93, 93]


def test_a_function_is_called_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_training.py").write_text("def train(architecture):\n    return {'value': len(architecture.key)}\n")
    monkeypatch.chdir(tmp_path)
    options = ("--objective", "python:my_training:train", "--unit", "number", "--direction", "minimize", "--slots", "2")
    result = searched(tmp_path / "out", *options, "--metric", "length", "--no-sources", "--budget", "8")
    values = [row["value"] for row in result["best"]]
    assert values == sorted(values)
    assert result["metric"] == "length"


def test_sources_are_used_from_the_first_training_on(command: str, tmp_path: Path) -> None:
    source = "nas-bench-graph-cora"
    result = searched(tmp_path / "out", "--objective", command, "--source", source, "--budget", "1", "--fix", "depth=2")
    study = LocalStudy.open(tmp_path / "out" / "study")
    assert study.definition.sources == (source,)
    assert result["best"][0]["stratum"] == 2 if result["best"] else result["num_failed"] == 1


def test_robot_computes_proxies_once(command: str, tmp_path: Path) -> None:
    options = ("--objective", command, "--strategy", "robot", "--no-sources", "--proxies", "params,nwot")
    for _ in range(2):
        result = searched(tmp_path / "out", *options, "--num-candidates", "8", "--budget", "4")
    assert result["num_trials"] == 4
    assert len((tmp_path / "out" / "proxies.jsonl").read_text().splitlines()) == 1 + 8


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--slots", "2"], "slots: got 2; allowed: an option of --objective alone"),
        (["--strategy", "study"], "strategy: got 'study'"),
        (
            ["--objective", "command:true", "--url", "http://x"],
            "url: got 'http://x'; allowed: nothing with --objective",
        ),
        (["--objective", "command:true", "--batch-size", "4"], "batch_size: got 4"),
        (["--objective", "train.sh"], "objective: got 'train.sh'; allowed: command:COMMAND or python:"),
        (["--objective", "python:no.such:f"], "objective: got 'python:no.such:f'; allowed: a function that can be"),
        (["--objective", "python:json:decoder"], "decoder is module"),
        (["--objective", "python:json:loads", "--timeout", "3"], "timeout: got 3.0; allowed: nothing with python"),
        (["--objective", "command:true", "--timeout", "0"], "timeout: got 0.0"),
        (["--objective", "command:t '{file}'"], "placeholders outside of quotes"),
        (["--objective", "command:true", "--slots", "0"], "slots: got 0; allowed: at least 1"),
        (["--objective", "command:true", "--unit", "miles"], "unit: got 'miles'"),
        (["--objective", "command:true", "--source", "x"], "sources: got 'x'; allowed: one of nas-bench-graph-"),
        (["--objective", "command:true", "--source", "x", "--no-sources"], "source: got 'x'"),
        (["--objective", "command:true", "--proxies", "zen"], "proxies: got 'zen'"),
        (["--objective", "command:true", "--num-candidates", "9"], "num_candidates: got 9"),
        (["--objective", "command:true", "--strategy", "robot"], "proxies: got 'none'; allowed: all, or names"),
        (["--objective", "command:true", "--strategy", "move", "--no-sources"], "surrogate: got None"),
    ],
)
def test_bad_options_are_one_line(options: list[str], line: str, tmp_path: Path) -> None:
    result = archrank(*options, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_folder_holds_one_search(command: str, tmp_path: Path) -> None:
    options = ("--objective", command, "--no-sources", "--strategy", "random", "--out", tmp_path / "out")
    assert archrank(*options, "--budget", "2").exit_code == 0
    for changed, line in (
        (("--seed", "1"), "seed: got 0; allowed: 1, as in this search"),
        (("--budget", "1"), "budget: got 1; allowed: at least 2"),
        (("--fix", "depth=2"), "fixed: got {}"),
        (("--metric", "loss"), "study: got"),
    ):
        refused = archrank(*options, "--budget", "2", *changed)
        assert refused.exit_code == 2
        assert line in refused.stderr
