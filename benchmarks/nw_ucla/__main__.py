"""Use of the table docs/data/nw-ucla: the numbers, tables and figure of docs/transfer.md.

    python -m benchmarks.nw_ucla --cache runs/nw-ucla.jsonl [--draws 100] [--jobs 2]

Orders that nothing was fitted for are correlated with all accuracies, with bootstrap intervals over the architectures
of each depth. Predictors are fitted to n random architectures and correlated on all others, in many draws. The results
of a draw are written to `--cache` as soon as they are known; a second run computes those that are missing.
"""

import argparse
import json
import sys
from pathlib import Path

from joblib import Parallel, delayed

from benchmarks.markdown import insert_tables
from benchmarks.nw_ucla.learning import Result, measure_draw
from benchmarks.nw_ucla.material import BATCHES, Material
from benchmarks.nw_ucla.noise import training_noise
from benchmarks.nw_ucla.orders import plain_orders, proxy_orders
from benchmarks.nw_ucla.tables import curve_table, figure, learning_table, noise_table, order_table, proxy_table
from common.atomic_files import write_atomically

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transfer.md"
FIGURE = PAGE.parent / "figures" / "nw-ucla.svg"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="file of finished draws, JSON Lines")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    results = _results(args.cache, args.draws, args.jobs)
    material = Material.load()
    insert_tables(
        PAGE,
        {
            "nw-ucla-noise": noise_table(training_noise(material)),
            "nw-ucla-orders": order_table(plain_orders(material)),
            "nw-ucla-proxies": proxy_table([proxy_orders(material, batch) for batch in BATCHES]),
            "nw-ucla-observations": learning_table(results),
            "nw-ucla-curves": curve_table(results),
        },
    )
    write_atomically(FIGURE, figure(material).encode())


def _results(cache: Path, draws: int, jobs: int) -> list[list[Result]]:
    """Results of all draws, from the cache where it has them; an incomplete last line is left out."""
    lines = cache.read_bytes().split(b"\n")[:-1] if cache.exists() else []
    results: dict[int, list[Result]] = {row["draw"]: row["results"] for row in map(json.loads, lines)}
    missing = [draw for draw in range(draws) if draw not in results]
    outputs = Parallel(n_jobs=jobs, return_as="generator")(delayed(measure_draw)(draw) for draw in missing)
    cache.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(cache, b"".join(line + b"\n" for line in lines))
    for draw, output in zip(missing, outputs, strict=True):
        results[draw] = output
        with cache.open("ab") as file:
            file.write(json.dumps({"draw": draw, "results": output}).encode() + b"\n")
        sys.stderr.write(f"draw {draw}\n")
    return [results[draw] for draw in range(draws)]


if __name__ == "__main__":
    main()
