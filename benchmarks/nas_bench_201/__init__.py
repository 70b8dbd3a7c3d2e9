"""Combiners and proxies on NAS-Bench-201: tables and figure of docs/nas-bench-201.md."""
