"""Fixtures, tiers of tests, and reference values. Tests that need real data skip without it."""

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before NumPy and PyTorch are imported: the tests run in parallel, and so do the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
import torch
from torch import nn

from common.processes import collect_rarely
from models import ProbeBatch, get_space
from models.gcn_nas.batches import synthetic_batch
from tests.waiting import PATIENT_SERVER

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
FIXTURE = Path(__file__).parent / "data" / "gcn_nas_reference.json"


TIERS = {
    "tests/chaos": "chaos",
    "tests/page": "browser",
    "tests/loops": "loops",
    "tests/packaging": "packaging",
    "tests/gpu": "gpu",
    "tests/benchmarks": "integration",
    "tests/client": "integration",
    "tests/service": "integration",
    "tests/test_": "integration",
}
"""Marker by the beginning of a test's path; all other tests are `unit`."""
SLOW = (
    "tests/benchmarks/test_gpu",
    "tests/benchmarks/test_nw_ucla",
    "tests/benchmarks/test_transfer",
    "tests/client/test_faulty_proxy",
    "tests/ensemble/combiners/test_spaces",
    "tests/ensemble/evaluation/test_cross_validation",
    "tests/ensemble/evaluation/test_learning_curves",
    "tests/ensemble/evaluation/test_protocol",
    "tests/ensemble/report",
    "tests/proxies/test_contract",
    "tests/proxies/test_time_limit",
    "tests/proxies/test_zoo",
    "tests/search/test_replay",
    "tests/service/api/test_authentication",
    "tests/service/api/test_concurrency",
    "tests/service/api/test_openapi",
    "tests/service/api/test_revoked",
    "tests/service/api/test_shutdown",
    "tests/service/cli",
    "tests/service/inference/test_cache",
    "tests/service/observability",
    "tests/service/server/test_serve",
    "tests/service/storage/test_databases",
    "tests/service/storage/test_processes",
    "tests/service/workers/test_chaos",
    "tests/service/workers/test_orphans",
    "tests/service/workers/test_ray_faults",
    "tests/service/workers/test_ray_join",
    "tests/test_shipped",
    "tests/training/benchmark/test_killed",
    "tests/training/benchmark/test_table_commands",
    "tests/training/test_published",
)
"""Beginnings of the paths of slow tests, which together take as long as all others."""

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("random", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
collect_rarely()  # before thousands of tests are imported


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, and those on PostgreSQL with `postgres`."""
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        item.add_marker(next((tier for start, tier in TIERS.items() if path.startswith(start)), "unit"))
        if path.startswith(SLOW):
            item.add_marker("slow")
        if "postgres" in getattr(item, "fixturenames", ()) or "[postgres" in item.name:
            item.add_marker("postgres")


def data_folder(variable: str, name: str) -> Path:
    """Return the folder of the environment variable, or the one beside the checkout; skip if it does not exist."""
    folder = Path(os.environ.get(variable, SHARED / name))
    if not folder.is_dir():
        pytest.skip(f"{variable} is not set to a folder, and {folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def benchmark_folder() -> Path:
    """The published gcn-nas benchmark."""
    folder = data_folder("ARCHRANK_BENCHMARKS", "benchmarks") / "gcn-nas-ntu"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def datasets_folder() -> Path:
    """Recorded skeleton data."""
    return data_folder("ARCHRANK_DATASETS", "datasets")


@pytest.fixture(scope="session")
def space() -> Any:
    return get_space("gcn-nas")


@pytest.fixture(scope="session")
def batch(space: Any) -> ProbeBatch:
    """A small probe batch."""
    return synthetic_batch(space.task, batch_size=4, frames=8)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Run a server process on a free port, and return its URL."""
    from service.cli.demo import server

    with server(PATIENT_SERVER) as address:
        yield address


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


REFERENCES = json.loads(FIXTURE.read_text())


def reference_id(reference: dict[str, Any]) -> str:
    return f"{len(reference['mask'])}-layers-{reference['published_hash'][:8]}"


@pytest.fixture(scope="session")
def reference_input() -> torch.Tensor:
    """Input of the reference values, (4, 3, 16, 25, 2)."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal((4, 3, 16, 25, 2)).astype(np.float32))


def fill_as_reference(network: nn.Module) -> None:
    """Fill every tensor of the state dict with its value in the reference computation."""
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if "running_" in key or key.endswith("num_batches_tracked"):
                continue
            normal = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(tuple(tensor.shape))
            z = torch.from_numpy(normal.astype(np.float32))
            if key.endswith(".weight") and tensor.ndim == 1:
                tensor.copy_(1 + 0.1 * z)
            elif key.endswith("PA"):
                tensor.copy_(0.02 * z)
            elif tensor.ndim >= 2:
                tensor.copy_(z / tensor[0].numel() ** 0.5)
            else:
                tensor.copy_(0.01 * z)
