"""Errors of benchmarks, score tables and saved ensembles."""

from models import ArchrankError, InputError


class BenchmarkError(InputError):
    """A benchmark or a score table is invalid. `field` names the file, the line and the field."""

    @classmethod
    def at(cls, place: str, error: InputError) -> "BenchmarkError":
        """Prefix the field of an error with its place: `table.jsonl line 3, layers[0]`."""
        return error.renamed(f"{place}, {error.field}", cls)


class ArtifactError(ArchrankError):
    """A saved ensemble is missing, incomplete, altered or of an unknown format."""
