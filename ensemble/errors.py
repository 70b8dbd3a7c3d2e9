"""What can be wrong with a benchmark, a table of scores or a saved ensemble."""

from models import ArchrankError, InputError


class BenchmarkError(InputError):
    """A benchmark or a table of scores is not what it has to be. `field` names the file, the line and the field."""

    @classmethod
    def at(cls, place: str, error: InputError) -> "BenchmarkError":
        """The same complaint with the place in front: `table.jsonl line 3, layers[0]`."""
        return error.renamed(f"{place}, {error.field}", cls)


class ArtifactError(ArchrankError):
    """A saved ensemble is broken, incomplete, altered or of an unknown format."""
