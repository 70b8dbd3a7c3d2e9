"""Conditions under which networks are scored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from models import Architecture, ProbeBatch, SearchSpace, Shapes
from proxies.runner import DEFAULT_REPEATS
from service.storage.score_key import ScoreKey


@dataclass(frozen=True)
class ScoringContext:
    """Conditions under which the scores of different architectures are comparable.

    Attributes:
        space: search space of the architectures.
        batch: probe batch, the input of every proxy. A batch on the CPU is moved to the device by the backend.
        device: device on which networks run.
        seed: seed of initial weights and random inputs.
        repeats: number of random draws that zen averages.
    """

    space: SearchSpace[Any]
    batch: ProbeBatch
    device: torch.device
    seed: int = 0
    repeats: int = DEFAULT_REPEATS

    @property
    def shapes(self) -> Shapes:
        """Shapes of the network's arguments."""
        return self.batch.shapes

    def score_keys(self, architecture: Architecture, proxies: Mapping[str, str]) -> dict[str, ScoreKey]:
        """Return the cache keys of an architecture's scores.

        Args:
            architecture: the scored architecture.
            proxies: versions by name.

        Returns:
            The keys by proxy.
        """
        batch, drawn, where = self.batch.fingerprint, (self.seed, self.repeats), self._device_and_dtype
        return {
            name: ScoreKey(self._space_json, architecture.fingerprint, batch, *drawn, name, version, *where)
            for name, version in proxies.items()
        }

    @cached_property
    def _space_json(self) -> str:
        return json.dumps({"name": self.space.name, **self.space.settings}, sort_keys=True)

    @cached_property
    def _device_and_dtype(self) -> tuple[str, str]:
        return self.device.type, str(self.batch.x.dtype).removeprefix("torch.")
