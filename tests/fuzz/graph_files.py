"""Targets for the readers of published graphs: a file of each kind is replaced."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from models.nas_bench_graph.graphs.files import load_graph
from tests.models.nas_bench_graph.graph_files import CORA, PHOTO, photo_arrays, planetoid

NAMES = (b"cnumpy\ndtype\n", b"cnumpy._core.multiarray\n_reconstruct\n", b"cbuiltins\nlist\n", b"R", b"b", b"\x81")
"""Pieces of pickles: names, and the opcodes that call, set a state and make an object."""


def _npy(name: str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, photo_arrays()[name])
    return buffer.getvalue()


def index_seeds() -> list[bytes]:
    """Column indices of an `.npz` file."""
    return [_npy("adj_indices")]


def read_indices(content: bytes, folder: Path) -> None:
    """Read a graph with other column indices."""
    with ZipFile(folder / "photo.npz", "w", ZIP_STORED) as archive:
        for name in photo_arrays():
            archive.writestr(f"{name}.npy", content if name == "adj_indices" else _npy(name))
    load_graph(PHOTO, folder / "photo.npz")


def pickle_seeds(part: str) -> list[bytes]:
    """One of Planetoid's files."""
    with TemporaryDirectory() as folder:
        return [(planetoid(Path(folder)) / f"ind.cora.{part}").read_bytes()]


def read_pickled(part: str, content: bytes, folder: Path) -> None:
    """Read a graph with another of Planetoid's files."""
    load_graph(CORA, planetoid(folder, **{part: content}))
