"""Evolution of proxies on three benchmarks: the numbers, tables and figure of docs/evolution.md."""
