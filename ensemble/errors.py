"""What can be wrong with a benchmark, a table of scores or a saved ensemble."""

from models import ArchrankError, InputError


class BenchmarkError(InputError):
    """A benchmark or a table of scores is not what it has to be. `field` names the file, the line and the field."""

    @classmethod
    def at(cls, place: str, error: InputError) -> "BenchmarkError":
        """The same complaint with the place in front: `table.jsonl line 3, layers[0]`."""
        placed = cls.__new__(cls)
        placed.field, placed.value, placed.allowed = f"{place}, {error.field}", error.value, error.allowed
        Exception.__init__(placed, f"{placed.field}: got {placed.value}; allowed: {placed.allowed}")
        return placed


class ArtifactError(ArchrankError):
    """A saved ensemble is broken, incomplete, altered or of an unknown format."""
