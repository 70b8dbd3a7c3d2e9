"""Plug-ins of installed distributions: the working ones are loaded, the others are named in a warning."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.plugins import PluginWarning, load_plugins

GROUP = "archrank.tests"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one module and entry points, as pip does."""

    def add(distribution: str, code: str, **entries: str) -> None:
        folder = tmp_path / distribution
        metadata = folder / f"{distribution}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{distribution}.py").write_text(code)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name.replace('_', '-')} = {value}" for name, value in entries.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        monkeypatch.delitem(sys.modules, distribution, raising=False)
        monkeypatch.syspath_prepend(folder)

    return add


def test_there_are_none_without_distributions() -> None:
    assert load_plugins(GROUP, []) == []


def test_plugins_are_ordered_by_name_and_know_their_distribution(install: Install) -> None:
    install("plug_one", "value = 1", second="plug_one:value")
    install("plug_two", "value = 2", first="plug_two:value")
    first, second = load_plugins(GROUP, ["other"])
    assert (first.name, first.origin, first.value) == ("first", "plug_two 1.0", 2)
    assert (second.name, second.origin, second.value) == ("second", "plug_one 1.0", 1)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("other = 1", "has no attribute 'value'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_broken_plugin_is_named_and_the_others_work(install: Install, code: str, reason: str) -> None:
    install("plug_broken", code, broken="plug_broken:value")
    install("plug_good", "value = 1", good="plug_good:value")
    with pytest.warns(PluginWarning, match=f"plug-in 'broken' of plug_broken 1.0.*{reason}") as caught:
        plugins = load_plugins(GROUP, [])
    assert [plugin.name for plugin in plugins] == ["good"]
    assert len(caught) == 1


def test_a_taken_name_is_refused_with_both_distributions(install: Install) -> None:
    install("plug_a", "value = 1", mine="plug_a:value")
    install("plug_b", "value = 2", mine="plug_b:value")
    install("plug_c", "value = 3", built_in="plug_c:value")
    with pytest.warns(PluginWarning) as caught:
        plugins = load_plugins(GROUP, ["built-in"])
    assert [(plugin.name, plugin.value) for plugin in plugins] == [("mine", 1)]
    messages = sorted(str(warning.message) for warning in caught)
    assert len(messages) == 2
    assert "'built-in' of plug_c 1.0" in messages[0]
    assert "archrank has" in messages[0]
    assert "'mine' of plug_b 1.0" in messages[1]
    assert "plug_a 1.0 has" in messages[1]
