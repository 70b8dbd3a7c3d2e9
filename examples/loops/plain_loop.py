"""Plain Python: random architectures first, then every single edit of the best, as long as one is better.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/plain_loop.py
"""
# ruff: noqa: T201

from archrank_client import Client

with Client() as client:
    modules = client.spaces()["gcn-nas"]["modules"]
    tried, best = client.sample(256, seed=0), None
    for _ in range(20):
        found = [one for one in client.predict(tried, proxies=[]) if one.ok and not one.warnings]
        if best is not None and max(one.accuracy for one in found) <= best.accuracy:
            break
        best = max(found, key=lambda one: one.accuracy)
        rows = best.architecture["layers"]
        edits = [(i, sorted({*row} ^ {module})) for i, row in enumerate(rows) for module in modules]
        tried = [{"layers": [*rows[:i], row, *rows[i + 1 :]]} for i, row in edits]
    print(best.accuracy, best.architecture)
