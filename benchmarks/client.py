"""Cost of the client: its import, and calls over loopback.

python -m benchmarks.client --runs 5
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

from archrank_client import Client
from rich.console import Console

from service.cli.demo import server

IMPORT = "from time import perf_counter as now; start = now(); {}; print(now() - start)"
DEPENDENCIES = "import httpx, stamina; from pydantic import BaseModel"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="imports, of which the fastest counts")
    runs, console = parser.parse_args().runs, Console()
    client, dependencies = (time_import(statement, runs) for statement in ("import archrank_client", DEPENDENCIES))
    console.print(f"import: {client:.3f} s, {client / dependencies:.2f} times that of httpx, pydantic and stamina")
    for name, rate in measure_calls().items():
        console.print(f"{name}: {rate:.0f} per second")


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


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    start = perf_counter()
    call()
    return perf_counter() - start


if __name__ == "__main__":
    main()
