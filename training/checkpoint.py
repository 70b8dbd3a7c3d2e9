"""State of a training after an epoch: a safetensors file, which is written in one step and holds no code."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from common.atomic_files import write_atomically
from common.errors import InputError
from common.files import check_file
from training.record import EpochRecord

NETWORK, OPTIMIZER = "network/", "optimizer/"
"""Prefixes of the names of tensors."""


@dataclass
class Progress:
    """Completed part of a training.

    Attributes:
        epochs: measurements of the completed epochs.
        scores: fields of `proxies.Score` by number of completed epochs and proxy.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    scores: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)


def save_checkpoint(
    path: Path, identity: dict[str, Any], progress: Progress, network: nn.Module, optimizer: Optimizer
) -> None:
    """Write the state of a training. Random numbers have none: each epoch's follow from the seed and the epoch.

    Args:
        path: the file. An existing one is replaced.
        identity: description of the training, as plain JSON.
        progress: completed part.
        network: the network.
        optimizer: its optimizer.
    """
    tensors = {f"{NETWORK}{name}": tensor for name, tensor in network.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{index}/{name}": value for name, value in values.items() if isinstance(value, Tensor)}
    metadata = {
        "identity": json.dumps(identity, sort_keys=True),
        "epochs": json.dumps([record.to_json() for record in progress.epochs]),
        "scores": json.dumps(progress.scores),
    }
    content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def load_checkpoint(
    path: Path, identity: dict[str, Any], progress: Progress, network: nn.Module, optimizer: Optimizer
) -> None:
    """Restore the state of a training.

    Args:
        path: the file.
        identity: description of the training, which has to be the checkpoint's.
        progress: receives the completed part.
        network: network of the same architecture, on its device.
        optimizer: its optimizer.

    Raises:
        InputError: the file is malformed, or the checkpoint of another training.
    """
    check_file(path, "checkpoint")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            is_same = json.loads(metadata["identity"]) == identity
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
        if is_same:
            progress.epochs[:] = [EpochRecord(**record) for record in json.loads(metadata["epochs"])]
            progress.scores |= {int(epoch): values for epoch, values in json.loads(metadata["scores"]).items()}
            _restore(tensors, network, optimizer)
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise InputError("checkpoint", str(path), f"a checkpoint of a training ({error})") from error
    if not is_same:
        raise InputError("checkpoint", str(path), "a checkpoint of the same training and version")


def _restore(tensors: dict[str, Tensor], network: nn.Module, optimizer: Optimizer) -> None:
    network.load_state_dict({name.removeprefix(NETWORK): t for name, t in tensors.items() if name.startswith(NETWORK)})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            index, key = name.removeprefix(OPTIMIZER).split("/")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
