"""Every reader of untrusted bytes reads valid inputs and refuses all others; former crashes stay fixed."""

from pathlib import Path

import pytest

from tests.fuzz.fuzzing import CRASHES, find_crash
from tests.fuzz.targets import TARGETS, Target

EXAMPLES = 60
BY_NAME = {target.name: target for target in TARGETS}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_valid_inputs_are_read(target: Target, tmp_path: Path) -> None:
    for number, content in enumerate(target.seeds()):
        folder = tmp_path / str(number)
        folder.mkdir()
        target.read(content, folder)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_mutated_inputs_are_read_or_refused(target: Target) -> None:
    crash = find_crash(target, seed=0, examples=EXAMPLES)
    assert crash is None, f"{crash.content!r}: {crash.error!r}"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", sorted(CRASHES.glob("[!.]*")), ids=lambda path: path.name)
def test_former_crash(path: Path) -> None:
    BY_NAME[path.name.rpartition(".")[0]].run(path.read_bytes())


def test_a_crash_is_found_and_shrunk() -> None:
    def read(content: bytes, folder: Path) -> None:
        if b"[]" in content:
            raise KeyError("[]")

    crash = find_crash(Target("broken", lambda: [b'{"a": [1]}'], read), seed=0, examples=1000)
    assert crash is not None
    assert isinstance(crash.error, KeyError)
    assert b"[]" in crash.content
