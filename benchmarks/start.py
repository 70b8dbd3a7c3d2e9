"""How long the server takes from its start until it is ready, and the command line until it shows its help.

python benchmarks/start.py --runs 5
"""

import argparse
import subprocess
import sys
from time import perf_counter

from rich.console import Console

from service.cli.demo import server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    for what, seconds in measure(parser.parse_args().runs).items():
        Console().print(f"{what}: {seconds:.2f} s")


def measure(runs: int = 5) -> dict[str, float]:
    """Seconds, the best of several runs: by then the files that are read lie in the system's memory."""
    return {"serve until ready": min(_ready() for _ in range(runs)), "help": min(_help() for _ in range(runs))}


def _ready() -> float:
    started = perf_counter()
    with server():
        return perf_counter() - started


def _help() -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-m", "service.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started


if __name__ == "__main__":
    main()
