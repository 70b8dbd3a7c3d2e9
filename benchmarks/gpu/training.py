"""Seconds of an epoch of training, with and without CUDA graphs."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.gpu.checks import Check, Options, holds, skipped, stated
from models import get_space
from models.gcn_nas.batches import synthetic_batch

EPOCHS = 3
"""Epochs of a training. The first, in which graphs are captured, is left out of the median."""
SIZES, SMALL_SIZES = (1020, 464, 16), (80, 20, 4)
"""Samples for training and validation, and frames: as of Northwestern-UCLA with view 3 held out, and of a dry run."""
LAYER = ["L2", "S", "T", "ST"]


def run(options: Options) -> Iterator[Check]:
    """Time trainings of two depths, each with CUDA graphs and kernel by kernel."""
    try:
        from training import default_recipe, train
        from training.data.motion import MotionData
    except ImportError as error:
        yield skipped("trainings", f"needs an installation (make install): {error}")
        return
    space = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=10)
    size, held_out, frames = SMALL_SIZES if options.small else SIZES
    batch = synthetic_batch(space.task, size, frames)
    # Only times are measured: the validation samples are some of the others.
    samples: Any = {"training": (batch.x, batch.y), "validation": (batch.x[:held_out], batch.y[:held_out])}
    data, recipe = MotionData(space.task, samples, {"data": "synthetic"}), replace(default_recipe(space), epochs=EPOCHS)
    for depth in (4,) if options.small else (4, 10):
        architecture, results = space.parse([LAYER] * depth), []
        for mode in (nullcontext(), patch("training.trainer.CudaGraphedNetwork", lambda network, device: network)):
            with mode:
                results.append(train(space, architecture, data, recipe, 0, device=options.device))
        yield from _compared(f"{depth} layers, {size} samples of {frames} frames", *results)


def _compared(what: str, graphed: Any, plain: Any) -> Iterator[Check]:
    """State the seconds of a training with CUDA graphs and without, and the difference of its losses."""
    if (failed := next((result for result in (graphed, plain) if result.error), None)) is not None:
        yield holds(what, False, f"{failed.error}: {failed.detail}", "trained")
        return
    seconds = [[record.seconds for record in result.epochs] for result in (graphed, plain)]
    fast, slow = (median(row[1:]) for row in seconds)
    value = f"{fast:.2g} s an epoch with CUDA graphs, {slow:.2g} s without"
    yield stated(what, value, {"with_graphs": seconds[0], "without": seconds[1]})
    pairs = zip(graphed.epochs, plain.epochs, strict=True)
    difference = max(abs(a.training_loss / b.training_loss - 1) for a, b in pairs)
    yield stated(f"{what}, relative difference of the training losses", f"{difference:.2g}", difference)
