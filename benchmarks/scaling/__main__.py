"""Scaling: the numbers, tables and figure of docs/scaling.md.

    python -m benchmarks.scaling [--again]

Measures servers with simulated workers on a real PostgreSQL, about five minutes on two idle cores, then simulates
larger installations from the measured times. Each result goes to `--results` as soon as it is known; a second run
measures those that are missing.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.markdown import insert_tables
from benchmarks.scaling.measuring import bench
from benchmarks.scaling.scenarios import measure, measurements, simulated
from benchmarks.scaling.tables import make_figure, make_tables, summary
from common.atomic_files import write_atomically

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "scaling.json"
PAGE = RESULTS.with_name("scaling.md")
FIGURE = RESULTS.parent / "figures" / "scaling.svg"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--again", action="store_true", help="measure everything again")
    args = parser.parse_args()
    results: dict[str, Any] = {"measured": {}}
    if args.results.is_file() and not args.again:
        results = json.loads(args.results.read_text())
    with bench() as measuring:
        for name in measurements():
            if name not in results["measured"]:
                results["measured"][name] = measure(measuring, name)
                results["machine"] = {"cores": os.cpu_count(), "load": os.getloadavg()[1]}
                _write(args.results, results)
                sys.stderr.write(f"{name}: {results['measured'][name]}\n")
    results["simulated"] = simulated(results["measured"])
    _write(args.results, results)
    if args.results == RESULTS:
        insert_tables(PAGE, make_tables(results))
        write_atomically(FIGURE, make_figure(results).encode())
    sys.stderr.write(summary(results) + "\n")


def _write(path: Path, results: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(results, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
