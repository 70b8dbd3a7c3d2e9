"""Check correctness and speed on a GPU, in at most fifteen minutes.

    python -m benchmarks.gpu                                  # everything
    python -m benchmarks.gpu --parts agreement,times          # some parts
    python -m benchmarks.gpu --device cpu --small             # a dry run, in two minutes

It needs Python, PyTorch, numpy and a checkout; `tests` also needs pytest, `http` and `training` an installation:
without, they are skipped. Results are printed and written to `--out` one by one, with a table at the end. The exit code
is 1 if a check failed.

tests: tests marked `gpu`. agreement: every proxy, CPU against GPU, and repeated runs. spaces: the same for networks of
the other spaces. times: seconds, and a profile of the slowest pass. sharing: architectures per second of processes that
share the GPU. stacks: several architectures in one pass. faults: out of memory, and a lost GPU. http: two processes on
one GPU behind a server. training: seconds of an epoch with and without CUDA graphs. scores: the benchmark's
architectures at N = 16, T = 64; resumable.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, strftime
from typing import Any

import torch

from benchmarks.gpu.checks import ARCHITECTURES, Check, Options, line, machine, table
from benchmarks.gpu.running import PARTS, run_parts


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help=f"parts, of {','.join(PARTS)}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="small networks, batches and numbers")
    parser.add_argument(
        "--architectures", type=Path, default=ARCHITECTURES, help="JSON Lines with an architecture in each row"
    )
    parser.add_argument(
        "--scores", type=Path, default=Path("runs/gpu-scores.jsonl"), help="table that the last part writes"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/gpu.json"))
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"device: got cuda, but PyTorch {torch.__version__} finds no GPU; allowed: cpu")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    options = Options(args.device, args.small, args.architectures, args.scores)
    return run(args.parts, options, args.out)


def run(parts: list[str], options: Options, out: Path) -> int:
    """Run the parts, print and write their results, and return the exit code: 1 if a check failed, else 0."""
    started, results = perf_counter(), list[tuple[str, Check]]()
    facts: dict[str, Any] = {"machine": machine(options.device), "small": options.small, "at": strftime("%F %T")}
    print(json.dumps(facts["machine"]), flush=True)
    for part, check in run_parts(parts, options):
        print(line(part, check), flush=True)
        results.append((part, check))
        facts |= {"minutes": (perf_counter() - started) / 60}
        rows = [{"part": part, **asdict(check)} for part, check in results]
        out.write_text(json.dumps({**facts, "checks": rows}, indent=1) + "\n")
    failed = sum(check.status == "fail" for _, check in results)
    print(f"\n{table(results)}\n\n{(perf_counter() - started) / 60:.1f} minutes, {failed} failed; details in {out}")
    return int(failed > 0)


def _parts(text: str) -> list[str]:
    """Parse names of parts, into the order in which they run."""
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"got {unknown[0]!r}; allowed: {', '.join(PARTS)}, separated by commas")
    return [name for name in PARTS if name in names]


if __name__ == "__main__":
    sys.exit(main())
