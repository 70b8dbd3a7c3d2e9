"""Startup time of the server until it is ready, and of the command line until its help is printed.

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
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the fastest counts")
    for name, seconds in measure(parser.parse_args().runs).items():
        Console().print(f"{name}: {seconds:.2f} s")


def measure(runs: int = 5) -> dict[str, float]:
    """Return the seconds of the fastest of several runs; files are then in the page cache."""
    return {
        "serve until ready": min(_time_ready() for _ in range(runs)),
        "help": min(_time_help() for _ in range(runs)),
    }


def _time_ready() -> float:
    started = perf_counter()
    with server():
        return perf_counter() - started


def _time_help() -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-m", "service.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started


if __name__ == "__main__":
    main()
