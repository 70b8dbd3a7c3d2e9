"""Every reader of bytes from outside refuses with its own error; what once crashed one does so no more."""

from pathlib import Path

import pytest

from tests.fuzz.fuzzing import CRASHES, crash
from tests.fuzz.targets import TARGETS, Target

EXAMPLES = 60
BY_NAME = {target.name: target for target in TARGETS}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_it_takes_is_read(target: Target, tmp_path: Path) -> None:
    for number, content in enumerate(target.seeds()):
        folder = tmp_path / str(number)
        folder.mkdir()
        target.read(content, folder)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_anything_else_is_refused(target: Target) -> None:
    found = crash(target, seed=0, examples=EXAMPLES)
    assert found is None, f"{found.content!r}: {found.error!r}"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", sorted(CRASHES.glob("[!.]*")), ids=lambda path: path.name)
def test_it_crashes_no_more(path: Path) -> None:
    BY_NAME[path.name.rpartition(".")[0]].run(path.read_bytes())


def test_a_crash_is_found_and_made_small() -> None:
    def read(content: bytes, folder: Path) -> None:
        if b"[]" in content:
            raise KeyError("[]")

    found = crash(Target("broken", lambda: [b'{"a": [1]}'], read), seed=0, examples=1000)
    assert found is not None
    assert isinstance(found.error, KeyError)
    assert b"[]" in found.content
