"""Registry of search spaces: plug-ins beside the built-in spaces."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import BatchError
from common.plugins import PluginWarning
from models import UnknownNameError, get_space, space_names
from models.registry import BUILT_IN, ENTRY_POINTS, space_infos
from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "own_space"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install a distribution of the example's module with an entry point, and forget all spaces afterwards."""

    def add(distribution: str, name: str, value: str) -> None:
        metadata = tmp_path / f"{distribution}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)

    shutil.copy(EXAMPLE / "tiny_gcn.py", tmp_path)
    space_infos.cache_clear()
    yield add
    space_infos.cache_clear()


def test_built_in_spaces_come_first(install: Any) -> None:
    install("plug_space", "tiny-gcn", "tiny_gcn:TinyGcn")
    infos = space_infos()
    assert [info.name for info in infos[: len(BUILT_IN)]] == [space.name for space in BUILT_IN]
    example = next(info for info in infos if info.name == "tiny-gcn")
    assert example.origin == "plug_space 1.0"
    assert get_space("tiny-gcn").parse({"layers": ["gin"], "width": 8})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("gcn-nas", "tiny_gcn:TinyGcn", "archrank has a plug-in of that name"),
        ("another-name", "tiny_gcn:TinyGcn", "the name of its space is 'tiny-gcn'"),
        ("tiny-gcn", "tiny_gcn:Stack", "it is no subclass of SearchSpace"),
        ("tiny-gcn", "tiny_gcn:MAX_LAYERS", "it is no subclass of SearchSpace"),
        ("tiny-gcn", "no_such_module:Space", "ModuleNotFoundError"),
    ],
)
def test_a_wrong_plugin_is_named_and_the_other_spaces_work(install: Any, name: str, value: str, reason: str) -> None:
    install("plug_wrong", name, value)
    with pytest.warns(PluginWarning, match=f"plug-in '{name}' of plug_wrong 1.0.*{reason}"):
        names = space_names()
    assert names[0] == "gcn-nas"
    assert "plug_wrong 1.0" not in {info.origin for info in space_infos()}
    assert get_space("gcn-nas").name == "gcn-nas"
    with pytest.raises(UnknownNameError, match="another-name"):
        get_space("another-name")


@pytest.mark.parametrize(
    ("name", "known"), [("gcn-nas", "skeleton, num_persons, num_classes"), ("nas-bench-201", "dataset")]
)
@pytest.mark.parametrize("setting", ["depth", "self", "größe"])
def test_a_setting_that_a_space_does_not_have(name: str, known: str, setting: str) -> None:
    with pytest.raises(UnknownNameError, match=f"^settings: got '{setting}'; allowed: one of {known}$"):
        get_space(name, **{setting: 1})


def test_values_of_a_batch_are_named_as_allowed() -> None:
    with pytest.raises(BatchError, match=r"^batch_size: got 0; allowed: greater than or equal to 1$"):
        get_space("nas-bench-201").task.batch_spec(batch_size=0)  # type: ignore[attr-defined]
