"""A search of three workers whose server is killed twice: its study ends like one that was fed in order."""

NUMBER = 150
WORKERS = 3
SOURCES = ["nas-bench-graph-cora", "nas-bench-graph-pubmed"]
