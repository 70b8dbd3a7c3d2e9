"""Whether archrank is right and fast on a GPU: `python -m benchmarks.gpu`, or `make gpu`."""
