"""Memory of the server and its worker, and size of its store.

    python benchmarks/sizing.py

Runs a server with one worker on the CPU. It scores a few architectures, half of them with ten layers, and runs two
jobs: one of the same architectures, repeated, with all proxies, and one of new architectures without proxies.
"""

import argparse
import sqlite3
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from service.cli.demo import server
from service.storage.store import FILE_NAME


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scored", type=int, default=12, help="scored architectures")
    parser.add_argument("--items", type=int, default=1000, help="architectures of each job")
    table = Table("quantity", "value")
    for row in measure(**vars(parser.parse_args())).items():
        table.add_row(*row)
    Console().print(table)


def measure(scored: int, items: int) -> dict[str, str]:
    """Return the quantities and their values."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"ARCHRANK_DATA_DIR": folder, "ARCHRANK_NUM_WORKERS": "1", "ARCHRANK_DEVICE": "cpu"}
        with server(settings) as url, httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
            architectures = _sample(client, scored // 2, depth=10) + _sample(client, scored - scored // 2)
            started = time.perf_counter()
            client.post("/v1/predictions", json={"architectures": architectures}).raise_for_status()
            seconds = (time.perf_counter() - started) / scored
            _run_job(client, {"architectures": list(islice(cycle(architectures), items))})
            _run_job(client, {"architectures": _sample(client, items), "proxies": []})
            parent = _child(_host_pid(), "serve")
            memory = {"server": _peak_mb(parent), "worker": _peak_mb(_child(parent, "spawn_main"))}
        with sqlite3.connect(Path(folder) / FILE_NAME) as store:
            jobs = store.execute("SELECT job, sum(length(result)) FROM items GROUP BY job ORDER BY job").fetchall()
            (scores_bytes,) = store.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'scores'").fetchone()
            store.execute("VACUUM")
        store_bytes = (Path(folder) / FILE_NAME).stat().st_size
    with_scores, without = (size / items for _, size in jobs)
    return {
        **{f"memory of the {name}": f"{size} MB" for name, size in memory.items()},
        "to score an architecture": f"{seconds:.2f} s",
        "an item's result, with all proxies": f"{with_scores:.0f} bytes",
        "an item's result, with none": f"{without:.0f} bytes",
        "an architecture's scores": f"{scores_bytes / scored:.0f} bytes",
        f"the store after {2 * items} items": f"{store_bytes / 1e6:.1f} MB, {store_bytes / 2 / items:.0f} bytes each",
    }


def _sample(client: httpx.Client, n: int, **fixed: int) -> list[dict[str, Any]]:
    response = client.post("/v1/spaces/gcn-nas/sample", json={"number": n, "fixed": fixed}).raise_for_status()
    return list(response.json()["architectures"])


def _run_job(client: httpx.Client, body: dict[str, Any]) -> None:
    job = client.post("/v1/jobs", json=body).raise_for_status().json()
    while job["finished_at"] is None:
        time.sleep(0.2)
        job = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    assert job["counts"]["done"] == len(body["architectures"])


def _host_pid() -> int:
    """Return this process's id as /proc names it."""
    return int(Path("/proc/self/stat").read_text().split()[0])


def _child(parent: int, word: str) -> int:
    """Return the child process whose command line contains the word."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(int(child) for child in children if word.encode() in Path(f"/proc/{child}/cmdline").read_bytes())


def _peak_mb(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
