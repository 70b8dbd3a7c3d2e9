"""Options and checks of the Ray backend, without a cluster."""

from typing import Any

import pytest

from common.errors import InputError
from common.extras import MissingExtraError
from service.app import ray_options
from service.settings import Settings
from service.workers import ray_cluster
from service.workers.errors import ClusterError
from service.workers.ray_backend import RayBackend, RayOptions


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("max_workers", {"max_workers": 0}),
        ("num_threads", {"num_threads": 0}),
        ("num_gpus", {"num_gpus": -1.0}),
        ("num_gpus", {"num_gpus": 1.5}),
        ("min_workers", {"min_workers": 3, "max_workers": 2}),
        ("task_timeout", {"task_timeout": 0.0}),
        ("scale_up_delay", {"scale_up_delay": -1.0}),
        ("address", {"address": "auto", "join": True}),
    ],
)
def test_invalid_options(field: str, options: Any) -> None:
    with pytest.raises(InputError, match=field):
        RayOptions(**options)


def test_settings_become_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ADDRESS": "head:6379", "JOIN": "true", "MAX_WORKERS": "3", "NUM_GPUS": "0.5"}.items():
        monkeypatch.setenv(f"ARCHRANK_RAY_{name}", value)
    options = ray_options(Settings(num_threads=2))
    assert (options.address, options.join, options.max_workers) == ("head:6379", True, 3)
    assert (options.num_gpus, options.num_threads, options.allow_open) == (0.5, 2, False)


def test_ray_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'archrank\[ray\]'"):
        RayBackend({})


def test_ray_must_be_recent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.extras.find_spec", lambda name: object())
    monkeypatch.setattr(ray_cluster, "version", lambda name: "2.53.0")
    with pytest.raises(ClusterError, match=r"Ray 2\.53\.0 is installed; allowed: 2\.54 or later"):
        RayBackend({}, RayOptions(allow_open=True))


def test_versions_are_compared() -> None:
    versions = ray_cluster.installed_versions()
    ray_cluster.check_versions(versions)
    assert "+" not in versions["torch"]
    with pytest.raises(ClusterError, match=rf"node: torch {versions['torch']}, not 1\.0$"):
        ray_cluster.check_versions(versions | {"torch": "1.0"})
    with pytest.raises(ClusterError, match=r"node: proxy luck missing, not 1$"):
        ray_cluster.check_versions(versions | {"proxy luck": "1"})
