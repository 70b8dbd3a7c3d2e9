"""Fuzz all readers of untrusted bytes in turn; exit with 1 if one crashes.

    python -m tests.fuzz --seconds 600 --seed 0

Crashing inputs are written to tests/fuzz/crashes, which the tests read.
"""

import argparse
import logging
import sys
import warnings
from collections import Counter
from time import monotonic

from rich.console import Console
from rich.progress import Progress

from tests.fuzz.fuzzing import find_crash
from tests.fuzz.targets import TARGETS

EXAMPLES = 100
"""Inputs per target and round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="total duration")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first round; each round adds one")
    parser.add_argument(
        "--target",
        action="append",
        choices=[target.name for target in TARGETS],
        help="target to fuzz; repeatable; default: all",
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    console, tried, crashed = Console(), Counter[str](), dict[str, str]()
    chosen = [target for target in TARGETS if not args.target or target.name in args.target]
    started, seed = monotonic(), args.seed
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("fuzzing", total=args.seconds)
        while monotonic() < started + args.seconds and len(crashed) < len(chosen):
            for target in chosen:
                elapsed = monotonic() - started
                if elapsed > args.seconds or target.name in crashed:
                    continue
                progress.update(bar, completed=elapsed, description=f"round {seed - args.seed}, {target.name}")
                failure = find_crash(target, seed, EXAMPLES)
                tried[target.name] += EXAMPLES
                if failure is not None:
                    crashed[target.name] = f"{failure.write()}: {failure.error!r}"
                    console.print(f"{target.name} crashes, seed {seed}: {crashed[target.name]}", markup=False)
            seed += 1
    for target in chosen:
        outcome = "crashed" if target.name in crashed else "no crash"
        console.print(f"{target.name:14} {tried[target.name]:7} inputs, {outcome}")
    sys.exit(1 if crashed else 0)


if __name__ == "__main__":
    main()
