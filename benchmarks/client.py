"""Cost of the client: its import, and calls over loopback, in full and in brief.

    python -m benchmarks.client --runs 5 --architectures 20000

Client and server share the machine's cores; the CPU times are those of the client's process and of the server's.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import httpx
import numpy as np
from archrank_client import Client
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from models import get_space
from service.cli.demo import server

IMPORT = "from time import perf_counter as now; start = now(); {}; print(now() - start)"
DEPENDENCIES = "import httpx, stamina; from pydantic import BaseModel"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="imports, of which the fastest counts")
    parser.add_argument(
        "--architectures", type=int, default=20_000, help="architectures of a call; half of it of a job"
    )
    arguments, console = parser.parse_args(), Console()
    client, dependencies = (
        time_import(statement, arguments.runs) for statement in ("import archrank_client", DEPENDENCIES)
    )
    console.print(f"import: {client:.3f} s, {client / dependencies:.2f} times that of httpx, pydantic and stamina")
    for name, rate in measure_calls().items():
        console.print(f"{name}: {rate:.0f} per second")
    table = Table("structure only, not cached", "architectures/s", "server, CPU s/1000", "client, CPU s/1000")
    for name, numbers in measure_details(arguments.architectures).items():
        table.add_row(name, f"{numbers[0]:.0f}", f"{numbers[1]:.3f}", f"{numbers[2]:.3f}")
    console.print(table)


def time_import(statement: str, runs: int) -> float:
    """Return the seconds of an import in a new process, the fastest of several."""
    command = (sys.executable, "-c", IMPORT.format(statement))
    return min(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(runs))


def measure_calls() -> dict[str, float]:
    """Return calls, or architectures, per second of one client."""
    with server() as url, Client(url) as client:
        architectures = client.sample(1000, seed=1)
        single = [architectures[:1]] * 100
        return {
            "calls, one cached architecture each": len(single)
            / timed(lambda: [client.predict(a, proxies=[]) for a in single]),
            "architectures from structure, not cached": 1000 / timed(lambda: client.predict(architectures, proxies=[])),
            "architectures from structure, cached": 1000 / timed(lambda: client.predict(architectures, proxies=[])),
        }


def measure_details(n: int) -> dict[str, tuple[float, float, float]]:
    """Return architectures per second, and CPU seconds per 1,000 of server and client, by kind of call.

    Args:
        n: architectures of a call; a job has half of them.
    """
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    drawn = {space.sample(rng): None for _ in range(4 * n)}  # new ones for each measurement
    architectures = [space.to_json(architecture) for architecture in drawn]
    measured = {}
    with server({"ARCHRANK_MAX_JOB_ARCHITECTURES": str(max(n, 1))}) as url, Client(url) as client:
        client.predict(architectures[:1], proxies=[])
        calls: dict[str, Callable[[Any], object]] = {
            "call, full": lambda part: client.predict(part, proxies=[]),
            "call, brief": lambda part: client.predict(part, proxies=[], detail="brief"),
            "job, full": lambda part: client.submit(part, proxies=[]).results(),
            "job, brief": lambda part: client.submit(part, proxies=[], detail="brief").results(),
        }
        for i, (name, call) in enumerate(calls.items()):
            part = architectures[i * n : (i + 1) * n][: n if name.startswith("call") else n // 2]
            before = server_cpu_seconds(url), process_time()
            seconds = timed(lambda call=call, part=part: call(part))  # type: ignore[misc]
            after = server_cpu_seconds(url), process_time()
            on_server, on_client = (1000 * (end - start) / len(part) for start, end in zip(before, after, strict=True))
            measured[name] = (len(part) / seconds, on_server, on_client)
    return measured


def server_cpu_seconds(url: str) -> float:
    """Return the CPU time of a server's process so far, without its workers."""
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return next(sample.value for sample in samples if sample.name == "process_cpu_seconds_total")


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    start = perf_counter()
    call()
    return perf_counter() - start


if __name__ == "__main__":
    main()
