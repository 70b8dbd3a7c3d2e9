"""What a server needs: memory of its processes, bytes in its store.

    python benchmarks/sizing.py

A real server with one process that scores, on the CPU. It scores a few architectures, half of them of ten layers, then
works off a job that asks for these again and again, with all proxies, and one that needs none.
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
from service.storage.store import FILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scored", type=int, default=12, help="architectures that are scored")
    parser.add_argument("--items", type=int, default=1000, help="architectures of a job")
    table = Table("what", "how much")
    for row in measure(**vars(parser.parse_args())).items():
        table.add_row(*row)
    Console().print(table)


def measure(scored: int, items: int) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        settings = {"ARCHRANK_DATA_DIR": folder, "ARCHRANK_NUM_WORKERS": "1", "ARCHRANK_DEVICE": "cpu"}
        with server(settings) as url, httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
            some = _sample(client, scored // 2, depth=10) + _sample(client, scored - scored // 2)
            started = time.perf_counter()
            client.post("/v1/predictions", json={"architectures": some}).raise_for_status()
            seconds = (time.perf_counter() - started) / scored
            _work(client, {"architectures": list(islice(cycle(some), items))})
            _work(client, {"architectures": _sample(client, items), "proxies": []})
            parent = _child(_own(), "serve")
            memory = {"server": _peak_mb(parent), "process that scores": _peak_mb(_child(parent, "spawn_main"))}
        with sqlite3.connect(Path(folder) / FILE) as store:
            jobs = store.execute("SELECT job, sum(length(result)) FROM items GROUP BY job ORDER BY job").fetchall()
            (kept,) = store.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'scores'").fetchone()
            store.execute("VACUUM")
        whole = (Path(folder) / FILE).stat().st_size
    with_scores, without = (size / items for _, size in jobs)
    return {
        **{f"memory of the {name}": f"{size} MB" for name, size in memory.items()},
        "to score an architecture": f"{seconds:.2f} s",
        "an item's result, with all proxies": f"{with_scores:.0f} bytes",
        "an item's result, with none": f"{without:.0f} bytes",
        "an architecture's scores": f"{kept / scored:.0f} bytes",
        f"the store after {2 * items} items": f"{whole / 1e6:.1f} MB, {whole / 2 / items:.0f} bytes an item",
    }


def _sample(client: httpx.Client, n: int, **more: int) -> list[dict[str, Any]]:
    found = client.get("/v1/spaces/gcn-nas/sample", params={"n": n, **more}).raise_for_status().json()
    return list(found["architectures"])


def _work(client: httpx.Client, body: dict[str, Any]) -> None:
    job = client.post("/v1/jobs", json=body).raise_for_status().json()
    while job["finished"] is None:
        time.sleep(0.2)
        job = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    assert job["counts"]["done"] == len(body["architectures"])


def _own() -> int:
    return int(Path("/proc/self/stat").read_text().split()[0])


def _child(parent: int, word: str) -> int:
    """The child process in whose command line the word is."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(int(one) for one in children if word.encode() in Path(f"/proc/{one}/cmdline").read_bytes())


def _peak_mb(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
