"""How fast archrank is: `python -m benchmarks.speed`, or `make bench`."""
