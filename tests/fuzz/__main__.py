"""Fuzz all readers of bytes from outside, in turn, for so many seconds; exit code 1 where one crashes.

    python -m tests.fuzz --seconds 600 --seed 0

What crashes is written to tests/fuzz/crashes, where the tests find it.
"""

import argparse
import logging
import sys
import warnings
from collections import Counter
from time import monotonic

from rich.console import Console
from rich.progress import Progress

from tests.fuzz.fuzzing import crash
from tests.fuzz.targets import TARGETS

EXAMPLES = 100
"""Of one target, before the next one's turn."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="in all")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; each round adds one")
    parser.add_argument("--target", action="append", choices=[target.name for target in TARGETS], help="only this one")
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
                passed = monotonic() - started
                if passed > args.seconds or target.name in crashed:
                    continue
                progress.update(bar, completed=passed, description=f"round {seed - args.seed}, {target.name}")
                found = crash(target, seed, EXAMPLES)
                tried[target.name] += EXAMPLES
                if found is not None:
                    crashed[target.name] = f"{found.write()}: {found.error!r}"
                    console.print(f"{target.name} crashes, seed {seed}: {crashed[target.name]}", markup=False)
            seed += 1
    for target in chosen:
        said = "crashes" if target.name in crashed else "refuses or reads"
        console.print(f"{target.name:14} {tried[target.name]:7} tried, {said}")
    sys.exit(1 if crashed else 0)


if __name__ == "__main__":
    main()
