"""Search strategies, one per file."""
