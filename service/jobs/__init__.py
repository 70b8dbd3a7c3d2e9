"""Background processing of jobs."""
