"""Numbers of layers of a benchmark's architectures, which take a build of each network."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from common.atomic_files import write_atomically
from common.errors import InputError
from common.files import read_json
from models import Architecture, BuildableSpace, get_space, require
from proxies.evolved.terminals import count_layers

CHUNK = 16
"""Architectures that one call of a process counts."""


def layer_counts(
    space: BuildableSpace[Any],
    architectures: Sequence[Architecture],
    cache: Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[int]:
    """Count the layers of networks.

    Args:
        space: their space.
        architectures: the architectures.
        cache: file with the counts by fingerprint, which is read and completed.
        jobs: number of processes.
        progress: called with the number of counted architectures and that of all.

    Raises:
        InputError: the cache is malformed.
    """
    counts = _read(cache) if cache is not None and cache.exists() else {}
    missing = [each for each in architectures if each.fingerprint not in counts]
    chunks = [missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)]
    tasks = (delayed(_count)(space.name, space.settings, [space.to_json(one) for one in chunk]) for chunk in chunks)
    for done, found in enumerate(Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks), start=1):
        counts |= found
        progress(min(done * CHUNK, len(missing)), len(missing))
        if cache is not None:
            write_atomically(cache, json.dumps(counts).encode())
    return [counts[each.fingerprint] for each in architectures]


def _count(name: str, settings: Mapping[str, Any], architectures: Sequence[dict[str, Any]]) -> dict[str, int]:
    space = require(get_space(name, **settings), BuildableSpace)
    batch = space.task.synthetic_batch()
    parsed = [space.parse(architecture) for architecture in architectures]
    return {each.fingerprint: count_layers(space.build(each), batch) for each in parsed}


def _read(cache: Path) -> dict[str, int]:
    counts = read_json(cache, cache.name)
    if not isinstance(counts, dict) or not all(type(count) is int and count > 0 for count in counts.values()):
        raise InputError(cache.name, counts, "numbers of layers by fingerprint; remove the file to count them again")
    return counts
