"""Statistics of the layers of networks at initialisation, measured once an architecture.

Tensors are reduced while a network is measured and never stored: a statistic is one number of each layer. A folder
holds one array (layers, statistics) for each architecture, and a header.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from common.atomic_files import write_atomically
from common.errors import InputError
from common.files import read_json
from common.processes import exit_with_parent
from models import Architecture, BatchError, BuildableSpace, get_space, require
from proxies.base import Need
from proxies.evolved.expression import Expression, parse_statistic
from proxies.evolved.operators import Array
from proxies.evolved.proxy import LANGUAGE_VERSION, measure_statistics
from proxies.evolved.terminals import TENSORS
from proxies.runner import measure

HEADER = "header.json"
REDUCTIONS = ("mean", "std", "norm", "most", "positive")
SPECTRA = ("spectral_norm", "effective_rank", "log_determinant")
MATRICES: Sequence[Any] = (
    "weight",
    "data.input",
    *(
        f"{batch}.{tensor}"
        for batch in ("data", "noise")
        for tensor in ("output", "output_gradient", "weight_gradient")
    ),
    ["mul", "weight", "data.weight_gradient"],
    ["mul", "data.output", "data.output_gradient"],
    ["sub", "perturbed.output", "data.output"],
    ["sub", "perturbed.weight_gradient", "data.weight_gradient"],
)
OF_SPECTRA: Sequence[Any] = ("weight", "data.output", "data.weight_gradient")


@dataclass(frozen=True)
class Network:
    """Network whose layers are measured, as JSON data.

    Attributes:
        space: name of the search space.
        settings: settings of the search space.
        architecture: the architecture.
        batch: fingerprint of the task's default batch.
        seed: seed of weights and noise.
    """

    space: str
    settings: Mapping[str, Any]
    architecture: Any
    batch: str
    seed: int


Measure = Callable[[Sequence[Network]], Iterator[tuple[str, Array]]]
"""Yields the fingerprint and the statistics of each network, in any order, see `measure_network`."""


@lru_cache(maxsize=1)
def statistics() -> tuple[Expression, ...]:
    """Return the statistics that are measured."""
    plain = [[reduction, matrix] for matrix in MATRICES for reduction in REDUCTIONS]
    absolute = [["mean", ["abs", matrix]] for matrix in MATRICES]
    spectra = [[reduction, matrix] for matrix in OF_SPECTRA for reduction in SPECTRA]
    return tuple(parse_statistic(obj, TENSORS) for obj in (*plain, *absolute, *spectra))


def measure_layers(
    space: BuildableSpace[Any],
    architectures: Sequence[Architecture],
    folder: Path,
    seed: int = 0,
    measure_networks: Measure | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Array]:
    """Measure the layers of networks at the task's default batch.

    Args:
        space: their space.
        architectures: the architectures.
        folder: statistics by architecture; those that it has are read, so that an interrupted call is continued.
        seed: seed of weights and noise.
        measure_networks: measures what is missing; by default in this process.
        progress: called with the number of measured architectures and that of all.

    Returns:
        Arrays (layers, statistics) by fingerprint, mapped from the files; without layers where they could not be
        measured.

    Raises:
        InputError: the folder has statistics of other settings.
    """
    batch = space.task.synthetic_batch().fingerprint
    header = {
        "space": space.name,
        "settings": space.settings,
        "batch": batch,
        "seed": seed,
        "language": LANGUAGE_VERSION,
        "statistics": [statistic.to_json() for statistic in statistics()],
    }
    folder.mkdir(parents=True, exist_ok=True)
    _check_header(folder / HEADER, header)
    missing = [each for each in architectures if not _file(folder, each.fingerprint).exists()]
    done = len(architectures) - len(missing)
    networks = [Network(space.name, space.settings, space.to_json(each), batch, seed) for each in missing]
    for fingerprint, values in (measure_networks or in_processes(1))(networks):
        content = io.BytesIO()
        np.save(content, values, allow_pickle=False)
        write_atomically(_file(folder, fingerprint), content.getvalue())
        done += 1
        progress(done, len(architectures))
    files = {each.fingerprint: _file(folder, each.fingerprint) for each in architectures}
    return {fingerprint: np.load(file, mmap_mode="r", allow_pickle=False) for fingerprint, file in files.items()}


def _file(folder: Path, fingerprint: str) -> Path:
    return folder / f"{fingerprint}.npy"


def _check_header(path: Path, header: Mapping[str, Any]) -> None:
    if not path.exists():
        write_atomically(path, json.dumps(header).encode())
    elif read_json(path, path.name) != json.loads(json.dumps(header)):
        raise InputError(str(path), "other settings", "a folder of the same settings; remove it to measure anew")


def in_processes(jobs: int) -> Measure:
    """Return a function that measures networks in several processes; in this one where `jobs` is 1."""

    def run(networks: Sequence[Network]) -> Iterator[tuple[str, Array]]:
        if jobs == 1:
            yield from map(measure_network, networks)
            return
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start) as pool:
            yield from pool.map(measure_network, networks)

    return run


def _start() -> None:
    import torch

    exit_with_parent()
    torch.set_num_threads(1)


def measure_network(network: Network) -> tuple[str, Array]:
    """Measure the layers of a network.

    Returns:
        The fingerprint, and an array (layers, statistics), without layers where they cannot be measured.

    Raises:
        BatchError: the batch that is made here has another fingerprint.
    """
    space = require(get_space(network.space, **network.settings), BuildableSpace)
    architecture, batch = space.parse(network.architecture), space.task.synthetic_batch()
    if batch.fingerprint != network.batch:
        raise BatchError("batch", batch.fingerprint, f"{network.batch}, that of the process that asks for it")
    try:
        layers = measure(space.build(architecture, seed=network.seed), batch, Need.LAYER_TENSORS, network.seed)
        values = measure_statistics(list(statistics()), layers)
    except (ValueError, ArithmeticError, RuntimeError):  # the reason is that of a proxy which reads the layers
        values = np.zeros((0, len(statistics())))
    return architecture.fingerprint, values if np.isfinite(values).all() else values[:0]
