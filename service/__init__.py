"""The HTTP service and the command line: two doors to one pipeline."""
