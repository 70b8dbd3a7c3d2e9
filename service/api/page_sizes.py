"""Sizes of paginated and sampled responses."""

DEFAULT_PAGE_SIZE = 500
MAX_PAGE_SIZE = 1000
"""Maximum number of job results on one page, and of jobs in a list."""
MAX_SAMPLE_SIZE = 1000
"""Maximum number of random architectures in one response."""
MAX_SUGGESTIONS = 100
"""Maximum number of suggestions of a study in one response."""
