"""Checks on a GPU: their limits, failures of a part, and all of them on the CPU."""

import json
import math
import os
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.gpu import benchmark_scores, suite
from benchmarks.gpu.agreement import STATED, agreement, difference, repeats
from benchmarks.gpu.checks import ARCHITECTURES, Check, Options, at_least, at_most, line, table
from benchmarks.gpu.profiling import READ, Event, summary
from benchmarks.gpu.running import PARTS, run_part, run_parts
from models import get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import Score, proxy_names

ROOT = Path(__file__).parents[2]
FAILING_PART = "tests.benchmarks.failing_part"


def ok(value: float | None, log: float | None = None) -> Score:
    return Score(value, log, "ok", 0.1)


FAILED = Score(None, None, "failed", 0.1, error="ValueError: no")


def test_nan_misses_a_limit() -> None:
    assert [at_most("a", value, 2).status for value in (1.0, 2.0, 2.1, math.nan)] == ["pass", "pass", "fail", "fail"]
    assert [at_least("a", value, 2).status for value in (1.0, 2.0, 2.1, math.nan)] == ["fail", "pass", "pass", "fail"]
    assert at_most("a", 3.0, 2, timed=False).status == "stated"
    assert at_least("a", 1.0, 2, timed=False).status == "stated"


def test_times_have_targets_on_a_gpu_at_full_size_only() -> None:
    options = [Options("cuda"), Options("cuda", small=True), Options("cpu"), Options("cpu", small=True)]
    assert [option.timed for option in options] == [True, False, False, False]


def test_a_difference_is_relative() -> None:
    assert difference(ok(2.0), ok(2.002)) == pytest.approx(1e-3)
    assert difference(ok(-2.0), ok(-2.0)) == 0
    assert difference(ok(0.0), ok(0.0)) == 0
    assert difference(ok(0.0), ok(1e-9)) == math.inf
    assert difference(ok(None, 900.0), ok(None, 900.001)) == pytest.approx(1e-3, rel=1e-3)
    assert difference(ok(None, 900.0), ok(None, 1900.0)) == math.inf
    assert difference(ok(1.0), FAILED) == difference(FAILED, ok(1.0)) == difference(FAILED, FAILED) == math.inf


def make_scores(**changed: Score) -> dict[str, Score]:
    """Return a score of 1 for every proxy, except for the changed ones."""
    return {name: ok(1.0) for name in proxy_names()} | changed


def test_agreement_checks_the_largest_difference_of_a_proxy() -> None:
    gpu = [make_scores(zen=ok(1.0005)), make_scores(zen=ok(1.002), snip=ok(0.9995), grad_sign=ok(1.5), meco=FAILED)]
    checks = {
        check.name.partition(",")[0]: check
        for check in agreement([make_scores()] * 2, gpu, [make_scores(zen=ok(1 + 1e-6))])
    }
    assert checks.keys() == set(proxy_names())
    assert (checks["zen"].status, checks["zen"].data["largest"]) == ("fail", pytest.approx(2e-3))
    assert checks["zen"].data["cpu_float32_to_float64"] == pytest.approx(1e-6, rel=1e-5)
    assert (checks["meco"].status, "ValueError: no" in checks["meco"].value) == ("fail", True)
    assert {checks[name].status for name in STATED} == {"stated"}
    others = set(proxy_names()) - {"zen", "meco", *STATED}
    assert {checks[name].status for name in others} == {"pass"}


def test_repeats_are_compared_bit_by_bit() -> None:
    assert repeats("a", [make_scores()], [make_scores()]).status == "pass"
    different = repeats(
        "a", [make_scores(), make_scores()], [make_scores(zen=ok(math.nextafter(1.0, 2.0))), make_scores(snip=FAILED)]
    )
    assert (different.status, different.data) == ("fail", {"zen": 1, "snip": 1})
    assert repeats("a", [make_scores()], [{"zen": ok(1.0)}]).status == "fail"
    assert repeats("a", [], []).status == "fail"


def test_a_profile_counts_calls_and_busy_time() -> None:
    events = [
        Event("cudaLaunchKernel", False, 0, 1),
        Event("cudaLaunchKernelExC", False, 1, 2),
        Event("cudaStreamSynchronize", False, 2, 3),
        Event("cudaMemcpyAsync", False, 3, 4),
        Event(READ, False, 4, 5),
        Event("aten::add", False, 0, 100),
        Event("gemm", True, 10, 20),
        Event("gemm", True, 15, 30),
        Event("relu", True, 40, 45),
    ]
    profile = summary(100e-6, events)
    assert (profile.launches, profile.synchronisations, profile.copies, profile.reads) == (2, 1, 1, 1)
    assert profile.device_seconds == pytest.approx(25e-6)
    assert profile.share == pytest.approx(0.25)
    assert list(profile.kernels) == ["gemm", "relu"]
    assert summary(1.0, []).share == 0


@pytest.mark.parametrize(
    ("device", "cases", "statuses"),
    [
        ("cuda", "<testcase name='a'/>", ["pass"]),
        ("cuda", "<testcase name='a'/><testcase name='b'><skipped message='no'/></testcase>", ["skipped", "fail"]),
        ("cpu", "<testcase name='a'/><testcase name='b'><skipped message='no'/></testcase>", ["skipped", "pass"]),
        ("cpu", "<testcase name='b'><skipped message='no'/></testcase>", ["skipped", "fail"]),
        ("cuda", "<testcase name='a'/><testcase name='b'><failure message='1 != 2'/></testcase>", ["fail", "fail"]),
        ("cuda", "<testcase name='b'><error message='no import'/></testcase>", ["fail", "fail"]),
        ("cuda", "", ["fail"]),
    ],
)
def test_a_test_run_passes_if_some_tests_pass_and_none_is_missing(device: str, cases: str, statuses: list[str]) -> None:
    report = ElementTree.fromstring(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    assert [check.status for check in suite.outcomes(report, device)] == statuses


def test_a_failing_part_is_a_failure_and_keeps_its_checks() -> None:
    def checks(failure: str) -> list[tuple[str, str]]:
        part = run_part(FAILING_PART, Options(architectures=Path(failure)), 60)
        return [(check.status, check.value) for check in part]

    assert checks("nothing") == [("stated", "there")]
    assert checks("raise") == [("stated", "there"), ("fail", "ValueError: no")]
    assert checks("exit") == [("stated", "there"), ("fail", "its process ended with exit code 5")]


def test_a_hanging_part_is_killed_with_its_children() -> None:
    part = run_part(FAILING_PART, Options(architectures=Path("hang")), 600)
    assert next(part).value == "there"
    child = Path("/proc") / next(part).value
    assert child.exists()
    part.close()
    end = time.monotonic() + 60
    while child.exists() and ") Z " not in (child / "stat").read_text():  # a zombie if no process reaps it
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_part_that_exceeds_its_time_is_a_failure() -> None:
    *_, late = run_part(FAILING_PART, Options(architectures=Path("hang")), 0.01)
    assert (late.status, late.value) == ("fail", "took longer than 1 s")


def test_no_time_left_is_a_failure() -> None:
    assert [(part, check.status) for part, check in run_parts(["times"], Options("cpu"), total=0)] == [
        ("times", "fail")
    ]


def test_results_as_lines_and_as_a_table() -> None:
    check = Check("a|b", "fail", "3 ms", "≤ 2 ms")
    assert line("times", check) == "FAIL    times     a|b: 3 ms  (≤ 2 ms)"
    assert table([("times", check)]).splitlines()[-1] == "| times | a\\|b | ≤ 2 ms | 3 ms | fail |"


def head() -> dict[str, Any]:
    space = get_space("gcn-nas")
    return benchmark_scores.header(space.settings, synthetic_batch(space.task, 2, 4), "cpu")


def test_a_table_of_scores_is_resumed_after_its_last_complete_row(tmp_path: Path) -> None:
    file = tmp_path / "new" / "scores.jsonl"
    assert benchmark_scores.resumed(file, head()) == set()
    assert json.loads(file.read_text()) == head()
    with file.open("a") as rows:
        rows.write('{"fingerprint":"a"}\n{"fingerpr')
    assert benchmark_scores.resumed(file, head()) == {"a"}
    assert file.read_text().endswith('{"fingerprint":"a"}\n')
    with pytest.raises(ValueError, match=r"another kind \(seed\)"):
        benchmark_scores.resumed(file, head() | {"seed": 1})


def test_the_repository_has_the_benchmarks_architectures(tmp_path: Path) -> None:
    assert len(benchmark_scores.architectures(ARCHITECTURES)) == 593
    (tmp_path / "none.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="no row"):
        benchmark_scores.architectures(tmp_path / "none.jsonl")


def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--parts", "times,nothing"), "'nothing'; allowed: tests, agreement"),
        (("--device", "cuda"), "finds no GPU; allowed: cpu"),
    ],
)
def test_bad_arguments_are_one_error(arguments: tuple[str, ...], words: str) -> None:
    process = call(*arguments, CUDA_VISIBLE_DEVICES="")
    assert (process.returncode, process.stdout) == (2, "")
    assert words in process.stderr.splitlines()[-1]


def hide_all_but(folder: Path, *distributions: str) -> str:
    """Return a PYTHONPATH that hides all packages but the checkout, these distributions and their requirements."""
    visible, pending = set[str](), list(distributions)
    while pending:
        if (name := canonicalize_name(pending.pop())) not in visible:
            visible.add(name)
            try:
                requirements = [Requirement(text) for text in requires(name) or []]
            except PackageNotFoundError:
                continue
            pending += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    packages = {"common", "models", "proxies", "ensemble", "search", "service"}
    hidden = {
        top
        for top, names in packages_distributions().items()
        if top not in packages and not visible & {canonicalize_name(name) for name in names}
    }
    assert {"pydantic", "scipy", "fastapi", "rich", "safetensors", "pytest"} <= hidden
    (folder / "sitecustomize.py").write_text(f"""
import sys

HIDDEN = {sorted(hidden)!r}

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Hiding, sys.meta_path)
""")
    return str(folder)


def test_all_parts_run_on_the_cpu_with_pytorch_and_numpy_alone(tmp_path: Path) -> None:
    out, scores = tmp_path / "gpu.json", tmp_path / "scores.jsonl"
    bare = hide_all_but(tmp_path, "torch", "numpy")
    process = call("--device", "cpu", "--small", f"--out={out}", f"--scores={scores}", PYTHONPATH=bare)
    assert process.returncode == 0, process.stdout + process.stderr
    checks = json.loads(out.read_text())["checks"]
    by_part = {part: {check["status"] for check in checks if check["part"] == part} for part in PARTS}
    assert by_part == {
        "tests": {"skipped"},
        "agreement": {"pass", "stated"},
        "spaces": {"pass", "stated"},
        "times": {"pass", "stated"},
        "sharing": {"stated", "skipped"},
        "stacks": {"pass", "stated", "skipped"},
        "faults": {"pass"},
        "http": {"skipped"},
        "training": {"skipped"},
        "scores": {"pass", "stated"},
    }
    assert len(scores.read_text().splitlines()) == 1 + 3
    assert "| http | two processes behind a server |" in process.stdout


def test_two_processes_behind_a_server(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    process = call("--device", "cpu", "--small", "--parts", "http", f"--out={out}")
    assert process.returncode == 0, process.stdout + process.stderr
    assert {check["status"] for check in json.loads(out.read_text())["checks"]} == {"pass", "stated"}


def test_seconds_of_trainings(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    process = call("--device", "cpu", "--small", "--parts", "training", f"--out={out}")
    assert process.returncode == 0, process.stdout + process.stderr
    seconds, difference = json.loads(out.read_text())["checks"]
    assert all(len(row) == 3 and min(row) > 0 for row in seconds["data"].values())
    assert difference["data"] == 0  # without a GPU there are no graphs, and a training is repeatable
