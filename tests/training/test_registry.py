"""Spaces whose networks can be trained: built in and of plug-ins."""

from typing import Any

import pytest

from common.errors import InputError
from common.plugins import Plugin, PluginWarning
from models import get_space
from training import Recipe, default_recipe, load_training_data
from training.data import registry
from training.data.motion import MotionTraining
from training.data.registry import space_trainings


class ImageTraining(MotionTraining):
    space = "nas-bench-201"


def test_other_spaces_are_refused() -> None:
    space = get_space("nas-bench-201")
    for call in (lambda: default_recipe(space), lambda: load_training_data(space, "x.npz")):
        with pytest.raises(InputError, match=r"space: got 'nas-bench-201'; allowed: .* gcn-nas, nas-bench-graph"):
            call()


def test_plugins_are_found_and_broken_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = [
        Plugin("nas-bench-201", "images 1.0", ImageTraining),
        Plugin("other", "images 1.0", ImageTraining),
        Plugin("third", "images 1.0", object()),
    ]
    monkeypatch.setattr(registry, "load_plugins", lambda group, taken: found)
    space_trainings.cache_clear()
    try:
        with pytest.warns(PluginWarning) as warned:
            assert list(space_trainings()) == ["gcn-nas", "nas-bench-graph", "nas-bench-201"]
        assert len(warned) == 2
        assert default_recipe(get_space("nas-bench-201")) == Recipe()
    finally:
        space_trainings.cache_clear()
