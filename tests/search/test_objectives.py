"""Objectives: metrics are read from commands and functions, and no failure becomes a number."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from models import Architecture, InputError, get_space
from search import CommandObjective, FunctionObjective, TrainingResult
from search.command_runner import EXIT, LOCK, is_locked
from search.objectives import MAX_ERROR, read_result
from tests.waiting import PATIENCE_S

SPACE = get_space("gcn-nas")
ARCH = SPACE.sample(np.random.default_rng(0))


def run(command: str, folder: Path, timeout: float | None = None, number: int = 1) -> TrainingResult | None:
    return CommandObjective(command, SPACE, folder, timeout)(ARCH, number, Event())


def value(result: TrainingResult | None) -> float | None:
    assert result is not None
    assert result.error is None
    return result.value


def error(result: TrainingResult | None) -> str:
    assert result is not None
    assert result.value is None
    assert result.error is not None
    return result.error


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_last_line_is_the_metric(tmp_path: Path) -> None:
    assert value(run("echo epoch 1; echo 0.75; echo", tmp_path)) == 0.75
    text = json.dumps({"value": 0.5, "seconds": 3, "epochs": 2, "curve": [0.25, 0.5], "loss": 1})
    result = run(f"echo '{text}'", tmp_path / "b")
    assert result == TrainingResult(0.5, None, 3.0, 2, (0.25, 0.5))


def test_the_architecture_is_passed_in_every_form(tmp_path: Path) -> None:
    text = json.dumps(SPACE.to_json(ARCH))
    command = (
        "set -e; test $# = 0; printf %s {architecture} > given; cat {file} > file; "
        'printf %s "$ARCHRANK_ARCHITECTURE" > variable; cat "$ARCHRANK_ARCHITECTURE_FILE" > path; echo 1'
    )
    folder = tmp_path / "it's a $folder; with spaces"
    folder.mkdir()
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert value(run(command, folder)) == 1.0
    finally:
        os.chdir(here)
    for name in ("given", "file", "variable", "path"):
        assert (tmp_path / name).read_text().strip() == text


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo 0.9; echo out of memory >&2; exit 3", "exit code 3; standard error: out of memory"),
        ("kill -9 $$", "killed by signal 9"),
        ("echo nan", "last line of standard output"),
        ("echo NaN", "last line of standard output"),
        ("echo '{\"value\": NaN}'", "last line of standard output"),
        ("echo 1e999", "last line of standard output"),
        ("echo done", "last line of standard output"),
        ("echo '{\"accuracy\": 0.9}'", 'allowed: a number, or {"value"'),
        ("echo true", "value: got True; allowed: a finite number"),
        ("echo '\"0.9\"'", "value: got '0.9'; allowed: a finite number"),
        ('echo \'{"value": 0.9, "epochs": 1.5}\'', "epochs: got 1.5"),
        ('echo \'{"value": 0.9, "curve": [null]}\'', "curve[0]: got None"),
        ("true", "nothing on standard output"),
        ("./no-such-program", "exit code 127"),
    ],
)
def test_failures_have_a_reason_and_no_value(command: str, reason: str, tmp_path: Path) -> None:
    assert reason in error(run(command, tmp_path))


def test_a_long_error_is_one_printable_line(tmp_path: Path) -> None:
    command = r"i=0; while [ $i -lt 999 ]; do printf 'line %s\033\n' $i >&2; i=$((i+1)); done; exit 1"
    text = error(run(command, tmp_path))
    assert text.isprintable()
    assert len(text) <= MAX_ERROR
    assert text.startswith("exit code 1")
    assert text.endswith("line 998")


def test_a_time_out_kills_the_whole_process_group(tmp_path: Path) -> None:
    assert "time-out after 2 s" in error(run(f"sleep 600 & echo $! > {tmp_path}/pid; wait", tmp_path, timeout=2.0))
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_stop_kills_the_training_and_gives_no_result(tmp_path: Path) -> None:
    objective, stop, results = CommandObjective("echo $$ > pid; sleep 600", SPACE, tmp_path), Event(), []
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        thread = Thread(target=lambda: results.append(objective(ARCH, 1, stop)))
        thread.start()
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    finally:
        os.chdir(here)
    stop.set()
    thread.join(PATIENCE_S)
    assert results == [None]
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_running(pid))
    assert not (tmp_path / "0001" / EXIT).exists()


def test_a_training_that_runs_or_has_ended_is_taken_up(tmp_path: Path) -> None:
    """Two objectives on the same folder stand for a search that was killed and its successor."""
    count, go = tmp_path / "count", tmp_path / "go"
    command = f"echo x >> {count}; while [ ! -e {go} ]; do sleep 0.02; done; echo 0.5"
    results: list[TrainingResult | None] = []
    threads = [Thread(target=lambda: results.append(run(command, tmp_path))) for _ in range(2)]
    threads[0].start()
    wait_for(lambda: count.exists())
    threads[1].start()
    time.sleep(0.2)
    go.touch()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert results[0] == results[1] == run(command, tmp_path)
    assert value(results[0]) == 0.5
    assert count.read_text() == "x\n"


def test_a_killed_runner_is_a_failed_training_without_survivors(tmp_path: Path) -> None:
    results: list[TrainingResult | None] = []
    thread = Thread(target=lambda: results.append(run("sleep 600; echo 1", tmp_path)))
    thread.start()
    lock = tmp_path / "0001" / LOCK
    wait_for(lambda: lock.exists() and len(lock.read_text().split()) == 2 and is_locked(tmp_path / "0001"))
    time.sleep(0.2)
    runner, group = map(int, lock.read_text().split())
    os.kill(runner, signal.SIGKILL)
    thread.join(PATIENCE_S)
    assert "the process that ran the training was killed" in error(results[0])
    wait_for(lambda: not is_running(group))


@pytest.mark.parametrize("command", ['./t.sh "{architecture}"', "./t.sh '{file}'", "sh -c 'a \"{architecture}\"'", " "])
def test_placeholders_in_quotes_are_refused(command: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="objective: got"):
        CommandObjective(command, SPACE, tmp_path)
    CommandObjective(r"echo \" it\'s {architecture} 'quoted' \"x\"", SPACE, tmp_path)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_time_outs_are_positive(timeout: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="timeout: got"):
        CommandObjective("true", SPACE, tmp_path, timeout)


def test_functions_are_called_with_the_architecture() -> None:
    def function(arch: Architecture) -> Any:
        return {"value": len(arch.key), "epochs": 3}

    result = FunctionObjective(function)(ARCH, 1, Event())
    assert result is not None
    assert (result.value, result.epochs) == (len(ARCH.key), 3)
    assert result.seconds is not None

    def fail(arch: Architecture) -> Any:
        raise ValueError("diverged\n")

    assert error(FunctionObjective(fail)(ARCH, 1, Event())) == "ValueError: diverged"
    assert "value: got nan" in error(FunctionObjective(lambda arch: float("nan"))(ARCH, 1, Event()))
    assert "value: got None" in error(FunctionObjective(lambda arch: None)(ARCH, 1, Event()))


def test_numbers_of_other_libraries_are_read() -> None:
    assert read_result(np.float32(0.5)) == TrainingResult(0.5)
    assert read_result({"value": np.float64(0.5), "curve": (0.1, 0.5)}) == TrainingResult(0.5, curve=(0.1, 0.5))
