"""What a backend raises."""

from common.errors import ArchrankError


class RefusedError(ArchrankError):
    """The backend does not take the task: it has no capacity left, or is not at work."""
