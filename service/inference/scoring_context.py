"""Conditions under which networks are scored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

import torch
from cachetools import LRUCache

from models import Architecture, BuildableSpace, ProbeBatch, SearchSpace, Shapes, require
from models.batch_spec import BatchSpec, make_batch_spec
from proxies.runner import DEFAULT_REPEATS
from service.storage.score_key import ScoreKey

MAX_CONTEXTS = 16
"""Contexts of no ensemble that are kept, each with its probe batch."""


@dataclass(frozen=True)
class ScoringContext:
    """Conditions under which the scores of different architectures are comparable.

    Attributes:
        space: search space of the architectures.
        batch: probe batch, the input of every proxy. A batch on the CPU is moved to the device by the backend. None for
            a space whose networks cannot be built.
        device: device on which networks run.
        seed: seed of initial weights and random inputs.
        repeats: number of random draws that zen averages.
        batch_fields: fields of the batch's specification, from which workers make it; None for a batch that they are
            sent when they start.
    """

    space: SearchSpace[Any]
    batch: ProbeBatch | None
    device: torch.device
    seed: int = 0
    repeats: int = DEFAULT_REPEATS
    batch_fields: Mapping[str, Any] | None = None

    @property
    def probe_batch(self) -> ProbeBatch:
        """The probe batch. Raises `CapabilityError` for a space whose networks cannot be built."""
        if self.batch is None:
            require(self.space, BuildableSpace)
        assert self.batch is not None, "a space whose networks can be built has a batch"
        return self.batch

    @property
    def shapes(self) -> Shapes | None:
        """Shapes of the network's arguments; None without a batch."""
        return None if self.batch is None else self.batch.shapes

    def score_keys(self, architecture: Architecture, proxies: Mapping[str, str]) -> dict[str, ScoreKey]:
        """Return the cache keys of an architecture's scores.

        Args:
            architecture: the scored architecture.
            proxies: versions by name.

        Returns:
            The keys by proxy.
        """
        if not proxies:
            return {}
        batch, drawn, where = self.probe_batch.fingerprint, (self.seed, self.repeats), self._device_and_dtype
        return {
            name: ScoreKey(self.space_json, architecture.fingerprint, batch, *drawn, name, version, *where)
            for name, version in proxies.items()
        }

    @cached_property
    def space_json(self) -> str:
        """Name and settings of the space, as canonical JSON."""
        return _space_json(self.space)

    @cached_property
    def _device_and_dtype(self) -> tuple[str, str]:
        return self.device.type, str(self.probe_batch.x.dtype).removeprefix("torch.")


class ScoringContexts:
    """Scoring contexts of no ensemble, each made once. Thread-safe.

    Args:
        device: device on which networks run.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._contexts: LRUCache[tuple[str, str], ScoringContext] = LRUCache(MAX_CONTEXTS)
        self._lock = Lock()

    def get(self, space: SearchSpace[Any], fields: Mapping[str, Any] | None = None) -> ScoringContext:
        """Return the context of a space with a synthetic or recorded batch.

        Args:
            space: the search space.
            fields: fields of the batch's specification; None for the task's defaults.

        Raises:
            InputError: the fields do not fit the task.
            CapabilityError: there are fields, but the space's networks cannot be built.
        """
        spec = batch_spec(space, fields)
        key = _space_json(space), "" if spec is None else spec.model_dump_json()
        with self._lock:
            if key not in self._contexts:
                self._contexts[key] = self._make(space, spec)
            return self._contexts[key]

    def with_batch(self, context: ScoringContext, fields: Mapping[str, Any]) -> ScoringContext:
        """Return the context with another batch. Raises as `get`."""
        other = self.get(context.space, fields)
        return replace(context, batch=other.batch, batch_fields=other.batch_fields)

    def _make(self, space: SearchSpace[Any], spec: BatchSpec | None) -> ScoringContext:
        if spec is None or not isinstance(space, BuildableSpace):
            return ScoringContext(space, None, self._device)
        return ScoringContext(space, spec.make(space.task), self._device, batch_fields=spec.model_dump())


def batch_spec(space: SearchSpace[Any], fields: Mapping[str, Any] | None = None) -> BatchSpec | None:
    """Return the specification of a probe batch.

    Args:
        space: the search space.
        fields: fields of the specification; None for the task's defaults.

    Returns:
        The specification; None without fields for a space whose networks cannot be built.

    Raises:
        InputError: the fields do not fit the task.
        CapabilityError: there are fields, but the space's networks cannot be built.
    """
    if fields is None and not isinstance(space, BuildableSpace):
        return None
    return make_batch_spec(require(space, BuildableSpace).task, fields or {})


def _space_json(space: SearchSpace[Any]) -> str:
    return json.dumps({"name": space.name, **space.settings}, sort_keys=True)
