"""Faults of a Ray cluster and of tasks on it: every task is resolved once, and other tasks lose nothing.

The tests run on a local cluster of several nodes with logical GPUs.
"""

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.demo import server
from service.workers.backend import TaskOutcome, WorkerHealth
from service.workers.errors import ClusterError, TaskRejectedError
from service.workers.ray_backend import RayBackend
from service.workers.ray_cluster import installed_versions
from tests.real_server import LEAN
from tests.service.conftest import SMALL
from tests.service.workers.conftest import faulty_task, submit_all, wait_until
from tests.service.workers.ray_clusters import LocalCluster, cluster, ray_options
from tests.service.workers.test_chaos import is_alive, kind_of, scored_by
from tests.waiting import PATIENCE_S

Start = Callable[..., RayBackend]
HEAD_TIMEOUT_S = 20.0
"""Longer than the head takes to answer on a busy machine."""


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Factory of started backends, whose actors import no PyTorch and end with them."""
    monkeypatch.setattr("service.workers.ray_backend.installed_versions", dict)
    started: list[RayBackend] = []

    def call(cluster: LocalCluster, ready: bool = True, **options: Any) -> RayBackend:
        backend = RayBackend({}, ray_options(cluster, head_timeout=HEAD_TIMEOUT_S, **options))
        started.append(backend)
        backend.start()
        if ready:
            wait_until_idle(backend)
        return backend

    yield call
    for backend in started:
        remaining = [worker.pid for worker in backend.health().workers if worker.pid is not None]
        backend.stop()
        wait_until(lambda: not any(is_alive(pid) for pid in remaining))  # noqa: B023  # called at once


def wait_until_idle(backend: RayBackend) -> None:
    wait_until(lambda: all(worker.state in ("idle", "stopped") for worker in backend.health().workers))


def worker_of(backend: RayBackend, future: "Future[TaskOutcome]", task_id: str) -> WorkerHealth:
    """Wait until a worker runs the task, and return its health."""
    running: list[WorkerHealth] = []

    def find() -> bool:
        assert not future.done(), future.result()
        running[:] = [worker for worker in backend.health().workers if worker.task == task_id]
        return bool(running)

    wait_until(find)
    return running[0]


def test_poison_fails_alone_after_two_attempts(start: Start, ray_cluster: LocalCluster, tmp_path: Path) -> None:
    backend = start(ray_cluster, min_workers=2, max_workers=2, num_gpus=1, task_timeout=10)
    kinds = {
        "exit": "crash",
        "kill": "crash",
        "stranger": "crash",
        "not a number": "crash",
        "memory": "out_of_memory",
        "device": "device_error",
        "hang": "timeout",
    }
    poison = {fault: faulty_task(fault) for fault in kinds}
    cured, good = faulty_task("segfault", once=str(tmp_path / "once")), [faulty_task() for _ in range(8)]
    outcomes = submit_all(backend, [*good[:4], *poison.values(), *good[4:], cured])
    assert {fault: kind_of(outcomes[task.id]) for fault, task in poison.items()} == kinds
    assert all(outcomes[task.id].attempts == 2 for task in (*poison.values(), cured))
    assert scored_by(outcomes[cured.id])
    assert all(scored_by(outcomes[task.id]) and outcomes[task.id].attempts == 1 for task in good)
    wait_until_idle(backend)
    health = backend.health()
    assert (health.state, health.restarts, health.node_losses) == ("ready", 2 * len(kinds) + 1, 0)
    assert (health.timeouts, health.out_of_memory) == (2, 2)
    assert {worker.device for worker in health.workers} == {"1 GPU"}
    assert len({worker.node for worker in health.workers}) == 2
    assert {worker.address for worker in health.workers} == {"127.0.0.1"}


def test_cancel_ends_a_running_task_and_drain_leaves_nothing(
    start: Start, ray_cluster: LocalCluster, tmp_path: Path
) -> None:
    backend = start(ray_cluster, min_workers=2, max_workers=2)
    hung = faulty_task("hang")
    future = backend.submit(hung)
    pid = worker_of(backend, future, hung.id).pid
    assert pid is not None
    assert backend.cancel(hung.id)
    assert kind_of(future.result(0)) == "cancelled"
    wait_until(lambda: not is_alive(pid))
    wait_until_idle(backend)
    slow, hung = faulty_task("gate", gate=str(tmp_path / "gate")), faulty_task("hang")
    futures = [backend.submit(slow), backend.submit(hung)]
    for held, of_held in zip((slow, hung), futures, strict=True):
        worker_of(backend, of_held, held.id)
    (tmp_path / "gate").touch()
    futures[0].result(PATIENCE_S)
    backend.drain(1)
    assert kind_of(futures[1].result(0)) == "interrupted"
    with pytest.raises(TaskRejectedError, match="draining"):
        backend.submit(faulty_task())
    backend.stop()
    backend.stop()
    assert backend.health().state == "stopped"


def test_task_of_a_lost_node_is_scored_elsewhere_without_blame(
    start: Start, ray_cluster: LocalCluster, tmp_path: Path
) -> None:
    nodes = [ray_cluster.add_node(num_cpus=3) for _ in range(2)]
    backend = start(ray_cluster, min_workers=1, max_workers=1, num_threads=3)
    held = faulty_task("gate", gate=str(tmp_path / "gate"))
    future = backend.submit(held)
    worker = worker_of(backend, future, held.id)
    lost, kept = sorted(nodes, key=lambda node: node.id != worker.node)
    assert lost.id == worker.node
    ray_cluster.remove_node(lost)
    wait_until(lambda: backend.health().workers[0].node == kept.id)
    wait_until(lambda: states(backend) == {"busy": 1})
    last = ray_cluster.add_node(num_cpus=3)
    ray_cluster.remove_node(kept, graceful=True)
    wait_until(lambda: backend.health().workers[0].node == last.id)
    (tmp_path / "gate").touch()
    outcome = future.result(PATIENCE_S)
    assert scored_by(outcome) != worker.pid
    assert outcome.attempts == 1
    health = backend.health()
    assert (health.node_losses, health.workers[0].last_error) == (2, None)
    ray_cluster.remove_node(last)


def test_actor_that_the_memory_monitor_of_its_node_kills_is_out_of_memory(
    monkeypatch: pytest.MonkeyPatch, start: Start, ray_cluster: LocalCluster
) -> None:
    monkeypatch.setattr("service.workers.ray_backend.installed_versions", lambda: {"torch": "1.0"})  # starts slowly
    node = ray_cluster.add_node(num_cpus=5, env_vars={"RAY_memory_usage_threshold": "0.001"})
    try:
        backend = start(ray_cluster, ready=False, num_threads=5)
        wait_until(lambda: backend.health().out_of_memory > 0)
        backend.stop()
    finally:
        ray_cluster.remove_node(node)


def test_workers_follow_the_load(start: Start, ray_cluster: LocalCluster, tmp_path: Path) -> None:
    """The test adds a node for an actor that waits for one, as an autoscaler does, and removes it afterwards."""
    backend = start(
        ray_cluster, ready=False, min_workers=0, max_workers=2, num_threads=4, scale_up_delay=0.1, idle_timeout=1
    )
    wait_until(lambda: backend.ready)
    assert [worker.state for worker in backend.health().workers] == ["stopped", "stopped"]
    nodes, gate = [], str(tmp_path / "gate")
    futures = []
    for number in (1, 2):
        wait_until(lambda: backend.capacity > 0)
        futures.append(backend.submit(faulty_task("gate", gate=gate)))
        wait_until(lambda: "pending" in states(backend))
        nodes.append(ray_cluster.add_node(num_cpus=4))
        wait_until(lambda: states(backend)["busy"] == number)  # noqa: B023  # called at once
    assert {worker.node for worker in backend.health().workers} == {node.id for node in nodes}
    with pytest.raises(TaskRejectedError):
        backend.submit(faulty_task())
    (tmp_path / "gate").touch()
    assert all(scored_by(future.result(PATIENCE_S)) for future in futures)
    wait_until(lambda: states(backend) == {"stopped": 2})
    assert backend.ready
    for node in nodes:
        ray_cluster.remove_node(node)


def states(backend: RayBackend) -> Counter[str]:
    return Counter(worker.state for worker in backend.health().workers)


def test_two_servers_share_a_cluster(start: Start, ray_cluster: LocalCluster) -> None:
    servers = [start(ray_cluster, namespace=name) for name in ("first", "second")]
    futures = [server.submit(faulty_task("hang")) for server in servers]
    wait_until(lambda: all(states(server) == {"busy": 1} for server in servers))
    servers[0].stop()
    assert kind_of(futures[0].result(0)) == "interrupted"
    assert not futures[1].done()
    assert servers[1].cancel(servers[1].health().workers[0].task or "")
    last = faulty_task()
    assert scored_by(submit_all(servers[1], [last])[last.id])


def test_worker_with_other_versions_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, start: Start, ray_cluster: LocalCluster
) -> None:
    torch = installed_versions()["torch"]
    monkeypatch.setattr("service.workers.ray_backend.installed_versions", lambda: {"torch": "1.0"})
    backend = start(ray_cluster, ready=False)
    wait_until(lambda: backend.health().state == "unhealthy")
    assert f"versions differ on the node: torch {torch}, not 1.0" in str(backend.health().last_error)
    assert backend.capacity == 0


def test_2000_tasks_while_nodes_leave_and_join(start: Start, ray_cluster: LocalCluster) -> None:
    nodes = [ray_cluster.add_node(num_cpus=2, num_gpus=2) for _ in range(2)]
    backend = start(ray_cluster, min_workers=4, max_workers=4, num_gpus=1)
    tasks = [faulty_task() for _ in range(2000)]
    outcomes: list[TaskOutcome] = []
    futures = []
    for number, task in enumerate(tasks):
        wait_until(lambda: backend.capacity > 0)
        future = backend.submit(task)
        future.add_done_callback(lambda future: outcomes.append(future.result()))
        futures.append(future)
        if number in (500, 1000):
            ray_cluster.remove_node(nodes.pop(0), graceful=number == 1000)
        if number in (750, 1250):
            nodes.append(ray_cluster.add_node(num_cpus=2, num_gpus=2))
    assert all(scored_by(future.result(PATIENCE_S)) for future in futures)
    wait_until(lambda: len(outcomes) == 2000)
    assert sorted(outcome.task for outcome in outcomes) == sorted(task.id for task in tasks)
    assert backend.health().queued == 0
    for node in nodes:
        ray_cluster.remove_node(node)


def test_task_of_a_partitioned_node_is_scored_elsewhere(
    start: Start, ray_cluster: LocalCluster, tmp_path: Path
) -> None:
    """A node that is stopped by SIGSTOP is lost, and its late reply is ignored."""
    node = ray_cluster.add_node(num_cpus=6)
    backend = start(ray_cluster, num_threads=6, task_timeout=PATIENCE_S)
    held = faulty_task("gate", gate=str(tmp_path / "gate"))
    future = backend.submit(held)
    worker = worker_of(backend, future, held.id)
    assert worker.node == node.id
    node.send(signal.SIGSTOP)
    kept = ray_cluster.add_node(num_cpus=6)
    wait_until(lambda: backend.health().workers[0].node == kept.id)
    (tmp_path / "gate").touch()
    node.send(signal.SIGCONT)
    outcome = future.result(PATIENCE_S)
    assert scored_by(outcome) != worker.pid
    assert (outcome.attempts, backend.health().node_losses) == (1, 1)
    backend.stop()
    for each in (node, kept):
        ray_cluster.remove_node(each)


def test_lost_head_interrupts_tasks_and_another_serves(start: Start, tmp_path: Path) -> None:
    with cluster({"num_cpus": 1}, gcs_rpc_server_reconnect_timeout_s=5) as started:
        backend = start(started, outage_timeout=3.0)
        future = backend.submit(faulty_task("hang"))
        wait_until(lambda: states(backend) == {"busy": 1})
        started.kill_head()
        assert kind_of(future.result(PATIENCE_S)) == "interrupted"
        health = backend.health()
        assert (health.state, backend.capacity, backend.ready) == ("unhealthy", 0, False)
        assert health.last_error
        started.start_head()
        started.add_node(num_cpus=1)
        wait_until(lambda: backend.ready and states(backend) == {"idle": 1})
        last = faulty_task()
        assert scored_by(submit_all(backend, [last])[last.id])
        backend.stop()


def test_server_scores_in_the_cluster(ray_cluster: LocalCluster) -> None:
    environment = LEAN | {"ARCHRANK_BACKEND": "ray", "ARCHRANK_RAY_ADDRESS": ray_cluster.address}
    with server(environment) as url:
        body = {"architectures": [SMALL], "proxies": ["params", "nwot"], "batch": {"batch_size": 2}}
        response = httpx.post(f"{url}/v1/scores", json=body, timeout=PATIENCE_S, trust_env=False)
        assert response.status_code == 200, response.text
        assert [score["status"] for score in response.json()["scores"][0]["scores"].values()] == ["ok", "ok"]
        metrics = httpx.get(f"{url}/metrics", timeout=PATIENCE_S, trust_env=False).text
        assert 'archrank_workers{state="idle"} 1.0' in metrics
        assert "archrank_node_losses_total 0.0" in metrics


def test_backend_needs_a_token(ray_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="RAY_AUTH_TOKEN"):
        RayBackend({}, ray_options(ray_cluster))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 32)
    backend = RayBackend({}, ray_options(ray_cluster, outage_timeout=0))
    backend.start()
    try:
        wait_until(lambda: backend.health().state == "unhealthy")
        assert "no connection to the Ray cluster" in str(backend.health().last_error)
    finally:
        backend.stop()


def test_tests_do_not_import_ray(ray_cluster: LocalCluster) -> None:
    assert ray_cluster.address
    assert "ray" not in sys.modules
