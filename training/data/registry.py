"""Registry of the spaces whose networks can be trained: those built in, then plug-ins of `archrank.trainings`."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.plugins import load_plugins, refuse_plugin
from models import BuildableSpace, SearchSpace
from training.data.base import SpaceTraining, TrainingData
from training.data.graph import GraphTraining
from training.data.motion import MotionTraining
from training.recipe import Recipe

ENTRY_POINTS = "archrank.trainings"
BUILT_IN: tuple[SpaceTraining, ...] = (MotionTraining(), GraphTraining())


@lru_cache(maxsize=1)
def space_trainings() -> dict[str, SpaceTraining]:
    """Return all registered trainings by the name of their space, the built-in ones first."""
    trainings = {training.space: training for training in BUILT_IN}
    for plugin in load_plugins(ENTRY_POINTS, list(trainings)):
        kind = plugin.value
        if not isinstance(kind, type) or not issubclass(kind, SpaceTraining):
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, "it is no subclass of SpaceTraining")
        elif getattr(kind, "space", None) != plugin.name:
            reason = f"the name of its space is {getattr(kind, 'space', None)!r}"
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, reason)
        else:
            trainings[plugin.name] = kind()
    return trainings


def space_training(space: SearchSpace[Any]) -> SpaceTraining:
    """Return the training of a space's networks.

    Raises:
        InputError: its networks cannot be trained.
    """
    trainings = space_trainings()
    if space.name not in trainings or not isinstance(space, BuildableSpace):
        raise InputError("space", space.name, f"a search space whose networks can be trained: {', '.join(trainings)}")
    return trainings[space.name]


def load_training_data(
    space: SearchSpace[Any], path: str | Path, split: str | None = None, **fields: Any
) -> TrainingData:
    """Read the data that a space's networks are trained on.

    Args:
        space: the search space, whose task the data have to fit.
        path: file or folder of the data.
        split: name of the rule that divides the samples; None for the default of the data.
        fields: further choices, which differ by space: `MotionFields`, `GraphFields`.

    Raises:
        InputError: networks of the space cannot be trained, or a file, the split or a field is not allowed.
    """
    training = space_training(space)
    assert isinstance(space, BuildableSpace)
    return training.load(space, Path(path), split, fields)


def default_recipe(space: SearchSpace[Any]) -> Recipe:
    """Return the hyperparameters of the space's public benchmark.

    Raises:
        InputError: networks of the space cannot be trained.
    """
    training = space_training(space)
    assert isinstance(space, BuildableSpace)
    return training.recipe(space)
