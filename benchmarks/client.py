"""What the client costs: its import, and calls over loopback.

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
BENEATH = "import httpx, stamina; from pydantic import BaseModel"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs, console = parser.parse_args().runs, Console()
    client, beneath = (imported(what, runs) for what in ("import archrank_client", BENEATH))
    console.print(f"import: {client:.3f} s, {client / beneath:.2f} times that of httpx, pydantic and stamina")
    for what, number in calls().items():
        console.print(f"{what}: {number:.0f} a second")


def imported(what: str, runs: int) -> float:
    """Seconds in a process of its own, the best of several runs."""
    command = (sys.executable, "-c", IMPORT.format(what))
    return min(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(runs))


def calls() -> dict[str, float]:
    """How many a second, of one client."""
    with server() as url, Client(url) as client:
        architectures = client.sample(1000, seed=1)
        single = [architectures[:1]] * 100
        return {
            "calls, one known architecture each": len(single)
            / timed(lambda: [client.predict(a, proxies=[]) for a in single]),
            "architectures from structure, new": 1000 / timed(lambda: client.predict(architectures, proxies=[])),
            "architectures from structure, known": 1000 / timed(lambda: client.predict(architectures, proxies=[])),
        }


def timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


if __name__ == "__main__":
    main()
