"""`archrank search`: every strategy, interrupted and resumed, over HTTP and in process, and its output files."""

import csv
import io
import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from models import get_space
from search import strategy_names
from search.log import SearchLog
from service.cli import app
from service.cli.search_results import best_trials
from service.inference.pipeline import run_plan
from service.inference.results import ItemResult
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.usefixtures("default_ensemble_alone")
BUDGET = 90
"""More than evolution's population size, so that there are children."""
FILES = {"search.jsonl", "search.jsonl.lock", "result.json", "trials.csv", "search.svg"}


WITH_SIGINT = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("service.cli", run_name="__main__")
"""
"""Restores SIGINT, which background processes of a shell ignore, and their children with them."""


def archrank(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, ["search", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def searched(out: Path, *arguments: str | Path) -> Any:
    """Run a search that has to succeed, and return its `result.json`, which is also printed."""
    result = archrank("--out", out, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed == json.loads((out / "result.json").read_text())
    return printed


def trials(out: Path) -> list[dict[str, Any]]:
    """Logged trials without their time; an incomplete last line is left out."""
    *lines, _ = (out / "search.jsonl").read_bytes().split(b"\n")
    rows = [json.loads(line) for line in lines[1:]]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("name", strategy_names(training=False))
def test_output_files_of_every_strategy_agree(name: str, tmp_path: Path) -> None:
    out = tmp_path / "runs" / name
    result = searched(out, "--strategy", name, "--budget", str(BUDGET), "--fix", "depth=6", "--max-flops", "4e9")
    assert {path.name for path in out.iterdir()} == FILES
    assert (result["num_trials"], result["num_failed"], result["state"]) == (BUDGET, 0, "done")
    logged = trials(out)
    with (out / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(logged) == BUDGET
    for row, trial in zip(rows, logged, strict=True):
        assert json.loads(row["architecture"]) == trial["architecture"]
        interval = trial["interval"]
        numbers = [trial["accuracy"], interval["low"], interval["high"]]
        assert [float(row[name]) for name in ("accuracy", "interval_low", "interval_high")] == numbers
        assert (int(row["flops"]), int(row["params"])) == (trial["flops"], trial["params"])
        assert int(row["stratum"]) == len(trial["architecture"]["layers"]) == 6
        assert trial["flops"] <= 4e9
        assert interval["low"] < trial["accuracy"] < interval["high"]
        assert interval["level"] == 0.9
    assert [trial["fingerprint"] for trial in result["pareto_front"]] == [
        row["fingerprint"] for row in sorted(rows, key=lambda row: int(row["flops"])) if row["pareto_optimal"] == "1"
    ]
    best = sorted((trial["accuracy"] for trial in logged), reverse=True)[:10]
    assert [trial["accuracy"] for trial in result["best"]] == best
    assert result["pareto_front"][-1]["accuracy"] == best[0]
    for trial in [*result["best"], *result["pareto_front"]]:
        assert rows[trial["trial"] - 1]["fingerprint"] == trial["fingerprint"]
        assert logged[trial["trial"] - 1]["warnings"] == trial["warnings"]
    assert_figure(out, f"{name} search of gcn-nas, {BUDGET} architectures, seed 0")


def assert_figure(out: Path, title: str) -> None:
    """The figure is an SVG file with this title, in the colors of the light theme."""
    root = ElementTree.parse(out / "search.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert title in {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    text = (out / "search.svg").read_text()
    assert "#0000" not in text  # a stand-in for a color
    assert "#ffffff" in text


def test_the_table_lists_the_best_trials_and_their_warnings(tmp_path: Path) -> None:
    shown = archrank("--out", tmp_path, "--strategy", "random", "--budget", "20")
    assert shown.exit_code == 0, shown.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    for trial in result["best"]:
        interval = f"{trial['interval']['low']:.4f}–{trial['interval']['high']:.4f}"
        assert f"#{trial['trial']} {trial['accuracy']:.4f} {interval} {trial['stratum']}" in " ".join(
            shown.stdout.split()
        )
    assert json.dumps(result["best"][0]["architecture"]) in shown.stdout
    result["best"][1]["warnings"] = ["few modules"]
    result["best"][4]["warnings"] = ["few modules", "deep"]
    second, fifth = (f"#{result['best'][i]['trial']}" for i in (1, 4))
    assert best_trials(result).caption == f"{second}, {fifth}: few modules\n{fifth}: deep"


def num_logged(out: Path) -> int:
    log = out / "search.jsonl"
    return log.read_bytes().count(b"\n") - 1 if log.exists() else 0


def start_search(out: Path, number: int, *options: str) -> "subprocess.Popen[str]":
    """Start a search and wait until it has logged `number` more trials."""
    target = num_logged(out) + number
    command = [sys.executable, "-c", WITH_SIGINT, "search", "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while num_logged(out) < target:
        assert time.monotonic() < deadline, "no trials were logged"
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    return process


def test_killed_and_interrupted_searches_are_resumed(tmp_path: Path) -> None:
    uninterrupted, out = tmp_path / "uninterrupted", tmp_path / "interrupted"
    options = ("--strategy", "evolution", "--batch-size", "1", "--budget")
    process = start_search(out, 20, *options, "100000")
    process.kill()
    process.communicate()
    killed = trials(out)

    process = start_search(out, 20, *options, "100000")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    number = num_logged(out)
    assert number >= len(killed) + 20
    assert f"interrupted after {number} of 100000 trials; the same command resumes the search" in errors
    assert "Traceback" not in errors
    result = json.loads((out / "result.json").read_text())
    assert (result["state"], result["num_trials"]) == ("interrupted", number)
    assert f"#{result['best'][0]['trial']}" in output
    assert trials(out)[: len(killed)] == killed

    for folder in (out, uninterrupted):
        searched(folder, *options, str(number + 20))
    assert trials(out) == trials(uninterrupted)
    last, first = (json.loads((folder / "result.json").read_text()) for folder in (out, uninterrupted))
    assert {**last, "seconds": 0} == {**first, "seconds": 0}
    assert (out / "trials.csv").read_bytes() == (uninterrupted / "trials.csv").read_bytes()
    assert (out / "search.svg").read_bytes() == (uninterrupted / "search.svg").read_bytes()


@pytest.mark.parametrize("options", [("--strategy", "warm-up"), ("--strategy", "local", "--combiner", "ridge")])
def test_a_server_and_this_process_find_the_same(options: tuple[str, ...], url: str, tmp_path: Path) -> None:
    pytest.importorskip("archrank_client")
    local, remote = tmp_path / "local", tmp_path / "remote"
    local_result = searched(local, "--budget", str(BUDGET), *options)
    remote_result = searched(remote, "--budget", "40", *options, "--url", url)
    assert remote_result["state"] == "done"
    remote_result = searched(remote, "--budget", str(BUDGET), *options, "--url", url)
    assert trials(remote) == trials(local)
    assert {**remote_result, "seconds": 0} == {**local_result, "seconds": 0}
    searched(remote, "--budget", str(BUDGET + 10), *options)  # resume locally
    assert trials(remote)[:BUDGET] == trials(local)


def test_with_proxies(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_NUM_WORKERS", "1")
    monkeypatch.setenv("ARCHRANK_NUM_THREADS", "1")
    options = ("--strategy", "random", "--fix", "depth=4", "--budget", "3", "--batch-size", "2")
    plain = searched(tmp_path / "plain", *options)
    cheap = searched(tmp_path / "cheap", *options, "--proxies", "params, nwot")
    assert cheap["proxies"] == ["params", "nwot"]
    assert {trial["fingerprint"] for trial in cheap["best"]} == {trial["fingerprint"] for trial in plain["best"]}
    # `stacked` needs more proxies, so `structure` predicts, with a warning.
    assert all("structure" in " ".join(trial["warnings"]) for trial in cheap["best"])
    assert not any("structure" in " ".join(trial["warnings"]) for trial in plain["best"])
    pytest.importorskip("archrank_client")
    searched(tmp_path / "http", *options, "--proxies", "params,nwot", "--url", url)
    assert trials(tmp_path / "http") == trials(tmp_path / "cheap")


def test_failed_trials_have_an_error_and_no_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail_first(*arguments: Any) -> list[ItemResult]:
        return [TimeoutError("the deadline has passed"), *(await run_plan(*arguments))[1:]]

    monkeypatch.setattr("service.cli.search_evaluators.run_plan", fail_first)
    result = searched(tmp_path, "--strategy", "random", "--budget", str(BUDGET), "--batch-size", "10")
    assert (result["num_trials"], result["num_failed"]) == (BUDGET, BUDGET // 10)
    logged = trials(tmp_path)
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for i, (trial, row) in enumerate(zip(logged, rows, strict=True)):
        assert (trial["accuracy"] is None) == (trial["error"] is not None) == (i % 10 == 0)
        assert row["error"] == (trial["error"] or "")
        assert row["accuracy"] == ("" if i % 10 == 0 else str(trial["accuracy"]))
    assert all(trial["trial"] % 10 != 1 for trial in [*result["best"], *result["pareto_front"]])
    assert_figure(tmp_path, f"random search of gcn-nas, {BUDGET} architectures, seed 0")

    alone = searched(tmp_path / "alone", "--strategy", "random", "--budget", "2", "--batch-size", "1")
    assert (alone["num_failed"], alone["best"], alone["pareto_front"]) == (2, [], [])
    assert_figure(tmp_path / "alone", "random search of gcn-nas, 2 architectures, seed 0")


def test_an_exhausted_search_ends_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.base.MAX_REJECTIONS", 0)
    ended = archrank("--strategy", "random", "--out", tmp_path)
    assert ended.exit_code == 0
    assert "no new architecture found after 0 trials" in ended.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["state"], result["num_trials"], result["best"]) == ("exhausted", 0, [])


INVALID_OPTIONS = [
    (["--strategy", "annealing"], "strategy: got 'annealing'; allowed: one of random, evolution"),
    (["--budget", "0"], "budget: got 0; allowed: at least 1"),
    (["--batch-size", "0"], "batch_size: got 0; allowed: at least 1"),
    (["--population-size", "1"], "population_size: got 1; allowed: at least 2"),
    (
        ["--strategy", "local", "--population-size", "16"],
        "population_size: got 16; allowed: nothing: local has no population",
    ),
    (["--seed", "-1"], "seed: got -1; allowed: a whole number from 0 to 2**32 - 1"),
    (["--space", "darts"], "space: got 'darts'; allowed: one of gcn-nas"),
    (["--setting", "num_classes=10"], "settings: got {'num_classes': 10}; allowed: those of an ensemble"),
    (["--fix", "depth"], "fix: got 'depth'; allowed: KEY=VALUE"),
    (["--fix", "depth=4", "--fix", "depth=6"], "fix: got 'depth=6'; allowed: each key once"),
    (["--fix", "depth=5"], "depth: got 5; allowed: 4, 6, 8 or 10"),
    (["--max-flops", "1e6"], "max_flops: got 1000000; allowed: at least"),
    (["--max-flops", "nan"], "max_flops: got nan; allowed: a number above 0"),
    (["--max-params", "-1"], "max_params: got -1.0; allowed: a number above 0"),
    (["--max-params", "1000", "--fix", "depth=10"], "max_params: got 1000; allowed: at least"),
    (["--ensemble", "x"], "ensemble: got 'x'; allowed: one of gcn-nas-ntu"),
    (["--combiner", "x"], "combiner: got 'x'; allowed: one of"),
    (["--proxies", "zen,zenith"], "proxies[1]: got 'zenith'; allowed: one of"),
    (["--device", "abacus"], "device: got 'abacus'; allowed:"),
    (["--ensembles-dir", "missing"], "ensemble: got 'gcn-nas-ntu'; allowed:"),
]


@pytest.mark.parametrize(
    ("options", "line"), INVALID_OPTIONS, ids=[" ".join(options) for options, _ in INVALID_OPTIONS]
)
def test_bad_options_are_one_line_and_write_nothing(options: list[str], line: str, tmp_path: Path) -> None:
    assert_refused(line, *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def assert_refused(line: str, *options: str | Path) -> None:
    result = archrank(*options)
    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_bad_options_for_a_server(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("archrank_client")
    monkeypatch.setattr("archrank_client.transport.FIRST_CONTACT_TIMEOUT_S", 0.5)
    for options, line in (
        (["--ensemble", "x"], "ensemble: got 'x'; allowed: one of gcn-nas-ntu"),
        (["--combiner", "x"], "combiner: got 'x'; allowed: one of"),
        (["--proxies", "zenith"], "proxies[0]: got 'zenith'; allowed: one of"),
        (["--space", "x"], "space: got 'x'; allowed: one of gcn-nas"),
        (["--device", "cpu"], "device: got 'cpu'; allowed: nothing with --url"),
        (["--ensembles-dir", "x"], "ensembles_dir: got 'x'; allowed: nothing with --url"),
        (["--url", "nonsense"], "url: allowed: http://"),
        (["--url", "http://127.0.0.1:1"], "http://127.0.0.1:1: "),
        (["--url", f"{url}/elsewhere"], f"{url}/elsewhere: "),
    ):
        assert_refused(line, "--url", url, *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_retries_of_the_client_are_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("archrank_client")
    monkeypatch.setattr("archrank_client.transport.FIRST_CONTACT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(logging.getLogger("stamina"), "handlers", [])
    printed = io.StringIO()
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(printed))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's
    assert_refused("http://127.0.0.1:1: ", "--url", "http://127.0.0.1:1", "--out", tmp_path / "out")
    assert printed.getvalue() == ""


def test_a_missing_client_is_named_with_its_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "archrank_client", None)
    assert_refused("pip install ./client", "--url", "http://127.0.0.1:1", "--out", tmp_path / "out")
    searched(tmp_path / "out", "--strategy", "random", "--budget", "1")


def test_a_folder_holds_one_search(tmp_path: Path) -> None:
    options = ("--strategy", "random", "--budget", "20", "--out", tmp_path)
    searched(tmp_path, *options)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for changed, line in (
        (("--strategy", "evolution"), "strategy: got 'random'; allowed: 'evolution', as in this search"),
        (("--seed", "1"), "seed: got 0; allowed: 1, as"),
        (("--batch-size", "4"), "batch_size: got 16; allowed: 4, as"),
        (("--fix", "depth=4"), "fixed: got {}; allowed: {'depth': 4}, as"),
        (("--max-params", "5e6"), "max_params: got None; allowed: 5000000, as"),
        (("--proxies", "params"), "proxies: got []; allowed: ['params'], as"),
        (("--combiner", "ridge"), "combiner: got None; allowed: 'ridge', as"),
        (("--budget", "19"), "budget: got 19; allowed: at least 20, the number of logged trials"),
    ):
        assert_refused(line, *options, *changed)
    header = json.loads(before["search.jsonl"].splitlines()[0])
    with SearchLog.open(tmp_path / "search.jsonl", header, get_space("gcn-nas")):
        assert_refused("search.jsonl: got 'in use'", *options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_smaller_population_has_children_sooner(tmp_path: Path) -> None:
    options, proposed = ("--strategy", "evolution", "--budget", "24", "--batch-size", "8"), []
    for out, population in ((tmp_path / "64", ()), (tmp_path / "8", ("--population-size", "8"))):
        searched(out, *options, *population)
        proposed.append([trial["architecture"] for trial in trials(out)])
    default, small = proposed
    assert small[:8] == default[:8]
    assert not any(architecture in default for architecture in small[8:])
    assert_refused("population_size: got 8; allowed: None, as in this search", *options, "--out", tmp_path / "8")


def test_help_names_every_strategy() -> None:
    shown = " ".join(archrank("--help").stdout.replace("│", " ").split())
    assert all(name in shown for name in strategy_names())
