"""Use of a benchmark that was built on Northwestern-UCLA: transfer, few observations, first epochs."""
