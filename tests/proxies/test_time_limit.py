"""A proxy that takes too long fails alone and leaves no state: the next scores are right to the last bit."""

import importlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FunctionType, TracebackType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack

from models import InputError
from proxies import Score, score
from proxies import time_limit as time_limits
from proxies.snip import Snip
from proxies.time_limit import TimeLimitError, time_limit
from tests.proxies.test_runner import Small

Batch = tuple[Tensor, Tensor]
FOREVER = 60.0
"""Seconds that a test takes without a working limit, before it fails."""


@pytest.fixture(autouse=True)
def no_alarm() -> Iterator[None]:
    """Suspend the timer of the test run."""
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


class SlowHook:
    """Hook that takes forever in the next `pauses` calls."""

    def __init__(self) -> None:
        self.pauses = 0

    def __deepcopy__(self, memo: Any) -> "SlowHook":
        return self  # passes run on copies of the network

    def pause(self) -> None:
        if self.pauses:
            self.pauses -= 1
            time.sleep(FOREVER)

    def before(self, module: nn.Module, args: Any) -> None:
        self.pause()

    def after(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        passed: Tensor = SlowBackward.apply(output, self)  # type: ignore[no-untyped-call]
        return passed


class SlowBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, hook: SlowHook) -> Tensor:
        ctx.hook = hook
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.hook.pause()
        return gradient, None


@pytest.fixture(scope="module")
def network() -> Small:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Small()


@pytest.fixture(scope="module")
def batch() -> Batch:
    return torch.randn(6, 3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1, 1, 2, 3])


@pytest.fixture
def forwards(network: Small) -> Iterator[SlowHook]:
    """Hook that takes forever in the forward pass."""
    hook = SlowHook()
    handle = network.features[1].register_forward_pre_hook(hook.before)
    yield hook
    handle.remove()


@pytest.fixture
def backwards(network: Small) -> Iterator[SlowHook]:
    """Hook that takes forever in the backward pass."""
    hook = SlowHook()
    handle = network.features[1].register_forward_hook(hook.after)
    yield hook
    handle.remove()


@pytest.fixture(scope="module")
def expected(network: Small, batch: Batch) -> dict[str, Score]:
    scores = score(network, *batch)
    assert {one.status for one in scores.values()} == {"ok"}
    return numbers(scores)


def numbers(scores: dict[str, Score]) -> dict[str, Score]:
    return {name: replace(one, seconds=0.0) for name, one in scores.items()}


def check_that_nothing_is_left(network: Small, batch: Batch, expected: dict[str, Score]) -> None:
    assert _get_current_function_mode_stack() == []  # type: ignore[no-untyped-call]
    assert torch.is_grad_enabled()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert all(parameter.grad is None for parameter in network.parameters())
    assert numbers(score(network, *batch)) == expected


def check_over_time(name: str, network: Small, batch: Batch) -> None:
    found = score(network, *batch, [name, "params"], timeout=0.5)
    assert (found[name].status, found[name].value) == ("failed", None)
    assert "took longer than 0.5 s" in str(found[name].error)
    assert found["params"].status == "ok"


@pytest.mark.parametrize(
    "name", ["meco", "synflow", "zen", "epe_nas", "grad_sign", "zico", "nwot", "jacov", "snip", "grasp"]
)
def test_on_the_way_through(
    name: str, network: Small, batch: Batch, expected: dict[str, Score], forwards: SlowHook
) -> None:
    forwards.pauses = 1
    check_over_time(name, network, batch)
    check_that_nothing_is_left(network, batch, expected)


@pytest.mark.parametrize("name", ["synflow", "epe_nas", "grad_sign", "zico", "jacov", "snip", "grasp"])
def test_on_the_way_back(
    name: str, network: Small, batch: Batch, expected: dict[str, Score], backwards: SlowHook
) -> None:
    backwards.pauses = 1
    check_over_time(name, network, batch)
    check_that_nothing_is_left(network, batch, expected)


def test_the_other_proxies_go_on(network: Small, batch: Batch, expected: dict[str, Score], forwards: SlowHook) -> None:
    forwards.pauses = 1
    found = numbers(score(network, *batch, timeout=3.0))
    failed = [name for name, one in found.items() if one.status == "failed"]
    assert failed == ["flops"]  # whose pass runs the network first
    assert {name: one for name, one in found.items() if name not in failed} == {
        name: one for name, one in expected.items() if name not in failed
    }


def test_a_pass_may_take_as_long_as_its_proxies_together(network: Small, batch: Batch, forwards: SlowHook) -> None:
    forwards.pauses = 1
    found = score(network, *batch, ["fisher", "nwot", "snip"], timeout=0.2)
    assert {one.error for one in found.values()} == {
        "TimeLimitError: TrainingPass (fisher, nwot, snip) took longer than 0.6 s"
    }


def test_a_formula(network: Small, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Snip, "compute", lambda proxy, measured: time.sleep(FOREVER))
    found = score(network, *batch, ["snip", "plain"], timeout=3.0)
    assert found["snip"].error == "TimeLimitError: snip took longer than 3 s"
    assert found["plain"].status == "ok"


@pytest.mark.parametrize("grace", [time_limits.GRACE_RETRIES, 0])
def test_wherever_it_is_stopped(
    grace: int, network: Small, batch: Batch, expected: dict[str, Score], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays behind at any moment: while modes are pushed, hooks removed, copies made.

    Python swallows an exception that is raised while it lets go of an object; the limit comes again then. Pytest's hook
    for such exceptions takes so long that the limit can come while it runs, which fails the test.
    """
    swallowed = set[type[BaseException]]()
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: swallowed.add(unraisable.exc_type))
    monkeypatch.setattr(time_limits, "GRACE_RETRIES", grace)
    errors = set()
    for seconds in np.geomspace(1e-5, 2e-2, 60):
        found = score(network, *batch, timeout=float(seconds))
        errors |= {one.error.partition(":")[0] for one in found.values() if one.error is not None}
    assert errors == {"TimeLimitError"}
    assert swallowed <= {TimeLimitError}
    check_that_nothing_is_left(network, batch, expected)


def test_another_thread_has_no_limit(network: Small, batch: Batch, expected: dict[str, Score]) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(score, network, *batch, timeout=1e-6).result()
    assert numbers(found) == expected


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_limit_is_above_zero(network: Small, batch: Batch, timeout: float) -> None:
    with pytest.raises(InputError, match="timeout"):
        score(network, *batch, ["params"], timeout=timeout)


class Holder:
    """Context manager that takes longer than the limit to enter and to leave."""

    def __init__(self, done: list[str]) -> None:
        self.done = done

    def __enter__(self) -> None:
        time.sleep(0.1)
        self.done.append("entered")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        time.sleep(0.1)
        self.done.append("left")


def limited(seconds: float, inside: float, outside: float, done: list[str]) -> None:
    with time_limit(seconds, "it"):
        with Holder(done):
            time.sleep(inside)
        time.sleep(outside)
        done.append("went on")


@pytest.mark.parametrize(("seconds", "inside", "outside"), [(0.02, FOREVER, 0.0), (0.15, 0.0, FOREVER)])
def test_what_is_entered_is_left(seconds: float, inside: float, outside: float) -> None:
    done = list[str]()
    with pytest.raises(TimeLimitError, match=r"^it took longer than 0\.\d+ s$"):
        limited(seconds, inside, outside, done)
    assert done == ["entered", "left"]


def test_a_timer_of_the_caller_goes_on() -> None:
    alarms = list[int]()
    signal.signal(signal.SIGALRM, lambda number, frame: alarms.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 50.0)
    with time_limit(FOREVER, "it"):
        time.sleep(0.1)
        assert alarms == []
    time.sleep(0.1)
    assert alarms == [signal.SIGALRM]
    assert 40 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50
    signal.setitimer(signal.ITIMER_REAL, 0)


def test_no_limit() -> None:
    with time_limit(None, "it"), time_limit(float("inf"), "it"):
        assert threading.current_thread() is threading.main_thread()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


class Endless(nn.Module):
    """Network whose methods have the names of clean-up and take forever, in many calls or in one."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.layer, self.method = nn.Linear(3, 2), method

    def forward(self, x: Tensor) -> Tensor:
        getattr(self, self.method)()
        return torch.as_tensor(self.layer(x))

    def __enter__(self) -> None:
        time.sleep(FOREVER)

    def __exit__(self, *error: object) -> None:
        time.sleep(FOREVER)

    def remove(self) -> None:
        time.sleep(FOREVER)

    def _remove(self) -> None:
        with torch.no_grad():
            time.sleep(FOREVER)

    def _find_and_load(self) -> None:
        time.sleep(FOREVER)

    def short(self) -> None:
        until = time.monotonic() + FOREVER
        while time.monotonic() < until:
            Removable().remove()

    def generator(self) -> None:
        with endless_to_leave():
            pass

    def exit_stack(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.remove)


class Removable:
    """An object with a short clean-up."""

    def remove(self) -> None:
        sum(range(1000))


@contextmanager
def endless_to_leave() -> Iterator[None]:
    yield
    time.sleep(FOREVER)


@pytest.mark.parametrize(
    "method",
    ["__enter__", "__exit__", "remove", "_remove", "_find_and_load", "short", "generator", "exit_stack"],
)
def test_a_method_named_as_clean_up_is_stopped(method: str) -> None:
    found = score(Endless(method), torch.randn(2, 3), torch.tensor([0, 1]), ["nwot", "params"], timeout=0.05)
    assert "nwot) took longer than 0.05 s" in str(found["nwot"].error)
    assert found["params"].status == "ok"


def test_clean_up_of_torch_is_finished_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "GRACE_RETRIES", 0)
    code = slow_remove.__code__.replace(co_name="remove")
    slow = FunctionType(code, {**globals(), "__name__": "torch.utils.hooks"})
    done = list[str]()
    with pytest.raises(TimeLimitError):
        run_then_wait(lambda: slow(done))
    assert done == ["removed"]


def run_then_wait(run: Callable[[], object]) -> None:
    with time_limit(0.02, "it"):
        run()
        time.sleep(FOREVER)


def slow_remove(done: list[str]) -> None:
    time.sleep(0.1)
    done.append("removed")


def test_an_import_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "GRACE_RETRIES", 0)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.1)\nWHOLE = True\n")
    with pytest.raises(TimeLimitError):
        run_then_wait(lambda: importlib.import_module("slow_to_import"))
    assert sys.modules.pop("slow_to_import").WHOLE
