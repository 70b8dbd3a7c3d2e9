"""Plain Python: a random start, then the best single mutation for as long as one helps.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/plain_loop.py
"""
# ruff: noqa: T201

from archrank_client import Client

with Client() as client:
    modules = client.spaces()["gcn-nas"]["modules"]
    candidates, best = client.sample(256, seed=0), None
    for _ in range(20):
        predictions = [result for result in client.predict(candidates, proxies=[]) if result.ok and not result.warnings]
        best_candidate = max(predictions, key=lambda prediction: prediction.accuracy)
        if best is not None and best_candidate.accuracy <= best.accuracy:
            break
        best, rows = best_candidate, best_candidate.architecture["layers"]
        mutations = [(i, sorted({*row} ^ {module})) for i, row in enumerate(rows) for module in modules]
        candidates = [{"layers": [*rows[:i], row, *rows[i + 1 :]]} for i, row in mutations]
    print(best.accuracy, best.architecture)
