"""The command line: `archrank`. Heavy imports wait inside the commands, so that `--help` is quick."""

from service.cli import build_benchmark, curves, evolve, keys, learning, search, serving, spaces, study
from service.cli.common import app

__all__ = ["app", "build_benchmark", "curves", "evolve", "keys", "learning", "search", "serving", "spaces", "study"]
