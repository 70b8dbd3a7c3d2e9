"""pymoo: NSGA-II for accuracy and FLOPs, a generation predicted in one call; prints the Pareto front, best first.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/pymoo_loop.py
"""
# ruff: noqa: T201

import numpy as np
from archrank_client import Client
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.optimize import minimize


class Search(Problem):
    def _evaluate(self, x, out, *args, **kwargs):
        n_layers = [depths[round(key * (len(depths) - 1))] for key in x[:, 0]]
        masks = x[:, 1:].reshape(len(x), -1, 8) > 0.5
        candidates = [{"mask": mask[:n].tolist()} for mask, n in zip(masks, n_layers, strict=True)]
        results = list(zip(client.predict(candidates, proxies=[]), client.validate(candidates), strict=True))
        out["F"] = np.array([[-p.accuracy, cost.flops] if p.ok else [np.nan] * 2 for p, cost in results])
        out["G"] = np.array([[len(p.warnings) if p.ok else np.inf] for p, _ in results])  # infeasible above 0
        out["architecture"] = np.array([p.architecture for p, _ in results])


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    search = Search(n_var=1 + 8 * max(depths), n_obj=2, n_ieq_constr=1, xl=0, xu=1)
    front = {tuple(p.F): p.get("architecture") for p in minimize(search, NSGA2(64), ("n_gen", 20), seed=0).opt}
    for (error, flops), architecture in sorted(front.items(), key=lambda pair: pair[0]):
        print(-error, flops, architecture)
