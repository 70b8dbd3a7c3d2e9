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

BUDGET = 90
"""More than evolution's population size, so that there are children."""
FILES = {"search.jsonl", "search.jsonl.lock", "result.json", "trials.csv", "search.svg"}


STARTED = """
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


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_leaves_the_same_in_every_file(name: str, tmp_path: Path) -> None:
    out = tmp_path / "runs" / name
    result = searched(out, "--strategy", name, "--budget", str(BUDGET), "--depth", "6", "--max-flops", "4e9")
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
        assert int(row["depth"]) == len(trial["architecture"]["layers"]) == 6
        assert trial["flops"] <= 4e9
        assert interval["low"] < trial["accuracy"] < interval["high"]
        assert interval["level"] == 0.9
    assert [one["fingerprint"] for one in result["pareto_front"]] == [
        row["fingerprint"] for row in sorted(rows, key=lambda row: int(row["flops"])) if row["pareto_optimal"] == "1"
    ]
    best = sorted((trial["accuracy"] for trial in logged), reverse=True)[:10]
    assert [one["accuracy"] for one in result["best"]] == best
    assert result["pareto_front"][-1]["accuracy"] == best[0]
    for one in [*result["best"], *result["pareto_front"]]:
        assert rows[one["trial"] - 1]["fingerprint"] == one["fingerprint"]
        assert logged[one["trial"] - 1]["warnings"] == one["warnings"]
    assert_picture(out, f"{name} search of gcn-nas, {BUDGET} architectures, seed 0")


def assert_picture(out: Path, title: str) -> None:
    """The figure is an SVG file with this title, in the colors of the light theme."""
    root = ElementTree.parse(out / "search.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert title in {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    text = (out / "search.svg").read_text()
    assert "#0000" not in text  # a stand-in for a color
    assert "#ffffff" in text


def test_tables_name_the_best_and_what_is_odd_about_them(tmp_path: Path) -> None:
    shown = archrank("--out", tmp_path, "--strategy", "random", "--budget", "20")
    assert shown.exit_code == 0, shown.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    for one in result["best"]:
        interval = f"{one['interval']['low']:.4f}–{one['interval']['high']:.4f}"
        assert f"#{one['trial']} {one['accuracy']:.4f} {interval} {one['depth']}" in " ".join(shown.stdout.split())
    assert json.dumps(result["best"][0]["architecture"]) in shown.stdout
    result["best"][1]["warnings"] = ["few modules"]
    result["best"][4]["warnings"] = ["few modules", "deep"]
    second, fifth = (f"#{result['best'][i]['trial']}" for i in (1, 4))
    assert best_trials(result).caption == f"{second}, {fifth}: few modules\n{fifth}: deep"


def written(out: Path) -> int:
    log = out / "search.jsonl"
    return log.read_bytes().count(b"\n") - 1 if log.exists() else 0


def begun(out: Path, number: int, *options: str) -> "subprocess.Popen[str]":
    """Start a search and wait until it has logged `number` more trials."""
    enough = written(out) + number
    command = [sys.executable, "-c", STARTED, "search", "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while written(out) < enough:
        assert time.monotonic() < deadline, "it did not begin"
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    return process


def test_killed_and_interrupted_it_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "cut"
    options = ("--strategy", "evolution", "--batch-size", "1", "--budget")
    process = begun(out, 20, *options, "100000")
    process.kill()
    process.communicate()
    killed = trials(out)

    process = begun(out, 20, *options, "100000")
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=60)
    assert process.returncode == 130
    number = written(out)
    assert number >= len(killed) + 20
    assert f"interrupted after {number} of 100000 trials; the same command resumes the search" in said
    assert "Traceback" not in said
    result = json.loads((out / "result.json").read_text())
    assert (result["state"], result["num_trials"]) == ("interrupted", number)
    assert f"#{result['best'][0]['trial']}" in shown
    assert trials(out)[: len(killed)] == killed

    for folder in (out, whole):
        searched(folder, *options, str(number + 20))
    assert trials(out) == trials(whole)
    last, first = (json.loads((folder / "result.json").read_text()) for folder in (out, whole))
    assert {**last, "seconds": 0} == {**first, "seconds": 0}
    assert (out / "trials.csv").read_bytes() == (whole / "trials.csv").read_bytes()
    assert (out / "search.svg").read_bytes() == (whole / "search.svg").read_bytes()


@pytest.mark.parametrize("options", [("--strategy", "warm-up"), ("--strategy", "local", "--combiner", "ridge")])
def test_a_server_finds_what_this_process_finds(options: tuple[str, ...], url: str, tmp_path: Path) -> None:
    pytest.importorskip("archrank_client")
    here, there = tmp_path / "here", tmp_path / "there"
    ours = searched(here, "--budget", str(BUDGET), *options)
    theirs = searched(there, "--budget", "40", *options, "--url", url)
    assert theirs["state"] == "done"
    theirs = searched(there, "--budget", str(BUDGET), *options, "--url", url)
    assert trials(there) == trials(here)
    assert {**theirs, "seconds": 0} == {**ours, "seconds": 0}
    searched(there, "--budget", str(BUDGET + 10), *options)  # what a server began, this process ends
    assert trials(there)[:BUDGET] == trials(here)


def test_with_proxies(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_NUM_WORKERS", "1")
    monkeypatch.setenv("ARCHRANK_NUM_THREADS", "1")
    options = ("--strategy", "random", "--depth", "4", "--budget", "3", "--batch-size", "2")
    plain = searched(tmp_path / "plain", *options)
    cheap = searched(tmp_path / "cheap", *options, "--proxies", "params, nwot")
    assert cheap["proxies"] == ["params", "nwot"]
    assert {one["fingerprint"] for one in cheap["best"]} == {one["fingerprint"] for one in plain["best"]}
    # Of the proxies that `stacked` needs most are missing, so `structure` answers, and says so.
    assert all("structure" in " ".join(one["warnings"]) for one in cheap["best"])
    assert not any("structure" in " ".join(one["warnings"]) for one in plain["best"])
    pytest.importorskip("archrank_client")
    searched(tmp_path / "http", *options, "--proxies", "params,nwot", "--url", url)
    assert trials(tmp_path / "http") == trials(tmp_path / "cheap")


def test_what_fails_is_kept_with_its_error_and_without_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert all(one["trial"] % 10 != 1 for one in [*result["best"], *result["pareto_front"]])
    assert_picture(tmp_path, f"random search of gcn-nas, {BUDGET} architectures, seed 0")

    alone = searched(tmp_path / "alone", "--strategy", "random", "--budget", "2", "--batch-size", "1")
    assert (alone["num_failed"], alone["best"], alone["pareto_front"]) == (2, [], [])
    assert_picture(tmp_path / "alone", "random search of gcn-nas, 2 architectures, seed 0")


def test_where_nothing_new_is_found_it_ends_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.base.MAX_REJECTIONS", 0)
    ended = archrank("--strategy", "random", "--out", tmp_path)
    assert ended.exit_code == 0
    assert "no new architecture found after 0 trials" in ended.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["state"], result["num_trials"], result["best"]) == ("exhausted", 0, [])


WRONG = [
    (["--strategy", "annealing"], "strategy: got 'annealing'; allowed: one of random, evolution"),
    (["--budget", "0"], "budget: got 0; allowed: at least 1"),
    (["--batch-size", "0"], "batch_size: got 0; allowed: at least 1"),
    (["--population-size", "1"], "population_size: got 1; allowed: at least 2"),
    (
        ["--strategy", "local", "--population-size", "16"],
        "population_size: got 16; allowed: nothing: local has no population",
    ),
    (["--seed", "-1"], "seed: got -1; allowed: a whole number from 0 to 2**32 - 1"),
    (["--space", "nas-bench-201"], "space: got 'nas-bench-201'; allowed: one of gcn-nas"),
    (["--depth", "5"], "depth: got 5; allowed: 4, 6, 8 or 10"),
    (["--max-flops", "1e6"], "max_flops: got 1000000; allowed: at least"),
    (["--max-flops", "nan"], "max_flops: got nan; allowed: a number above 0"),
    (["--max-params", "-1"], "max_params: got -1.0; allowed: a number above 0"),
    (["--max-params", "1000", "--depth", "10"], "max_params: got 1000; allowed: at least"),
    (["--ensemble", "x"], "ensemble: got 'x'; allowed: one of gcn-nas-ntu"),
    (["--combiner", "x"], "combiner: got 'x'; allowed: one of"),
    (["--proxies", "zen,zenith"], "proxies[1]: got 'zenith'; allowed: one of"),
    (["--device", "abacus"], "device: got 'abacus'; allowed:"),
    (["--ensembles-dir", "missing"], "ensemble: got 'gcn-nas-ntu'; allowed:"),
]


@pytest.mark.parametrize(("options", "line"), WRONG, ids=[" ".join(options) for options, _ in WRONG])
def test_bad_options_are_one_line_and_leave_nothing_behind(options: list[str], line: str, tmp_path: Path) -> None:
    refused(line, *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def refused(line: str, *options: str | Path) -> None:
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
        refused(line, "--url", url, *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pauses_of_the_client_are_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("archrank_client")
    monkeypatch.setattr("archrank_client.transport.FIRST_CONTACT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(logging.getLogger("stamina"), "handlers", [])
    printed = io.StringIO()
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(printed))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's
    refused("http://127.0.0.1:1: ", "--url", "http://127.0.0.1:1", "--out", tmp_path / "out")
    assert printed.getvalue() == ""


def test_without_the_client_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "archrank_client", None)
    refused("pip install ./client", "--url", "http://127.0.0.1:1", "--out", tmp_path / "out")
    searched(tmp_path / "out", "--strategy", "random", "--budget", "1")


def test_a_folder_holds_one_search(tmp_path: Path) -> None:
    options = ("--strategy", "random", "--budget", "20", "--out", tmp_path)
    searched(tmp_path, *options)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for changed, line in (
        (("--strategy", "evolution"), "strategy: got 'random'; allowed: 'evolution', as in this search"),
        (("--seed", "1"), "seed: got 0; allowed: 1, as"),
        (("--batch-size", "4"), "batch_size: got 16; allowed: 4, as"),
        (("--depth", "4"), "depth: got None; allowed: 4, as"),
        (("--max-params", "5e6"), "max_params: got None; allowed: 5000000, as"),
        (("--proxies", "params"), "proxies: got []; allowed: ['params'], as"),
        (("--combiner", "ridge"), "combiner: got None; allowed: 'ridge', as"),
        (("--budget", "19"), "budget: got 19; allowed: at least 20, the number of logged trials"),
    ):
        refused(line, *options, *changed)
    header = json.loads(before["search.jsonl"].splitlines()[0])
    with SearchLog.open(tmp_path / "search.jsonl", header, get_space("gcn-nas")):
        refused("search.jsonl: got 'in use'", *options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_smaller_population_has_children_sooner(tmp_path: Path) -> None:
    options, proposed = ("--strategy", "evolution", "--budget", "24", "--batch-size", "8"), []
    for out, population in ((tmp_path / "64", ()), (tmp_path / "8", ("--population-size", "8"))):
        searched(out, *options, *population)
        proposed.append([trial["architecture"] for trial in trials(out)])
    default, small = proposed
    assert small[:8] == default[:8]
    assert not any(architecture in default for architecture in small[8:])
    refused("population_size: got 8; allowed: None, as in this search", *options, "--out", tmp_path / "8")


def test_help_names_every_strategy() -> None:
    shown = " ".join(archrank("--help").stdout.replace("│", " ").split())
    assert all(name in shown for name in strategy_names())
