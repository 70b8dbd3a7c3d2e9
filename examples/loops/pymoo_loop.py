"""pymoo: NSGA-II between accuracy and operations, a generation predicted in one call; prints the front, best first.

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
        chosen = [depths[round(key * (len(depths) - 1))] for key in x[:, 0]]
        masks = x[:, 1:].reshape(len(x), -1, 8) > 0.5
        asked = [{"mask": mask[:n].tolist()} for mask, n in zip(masks, chosen, strict=True)]
        pairs = list(zip(client.predict(asked, proxies=[]), client.validate(asked), strict=True))
        out["F"] = np.array([[-one.accuracy, cost.flops] if one.ok else [np.nan] * 2 for one, cost in pairs])
        out["G"] = np.array([[len(one.warnings) if one.ok else np.inf] for one, _ in pairs])  # above 0: not wanted
        out["architecture"] = np.array([one.architecture for one, _ in pairs])


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    search = Search(n_var=1 + 8 * max(depths), n_obj=2, n_ieq_constr=1, xl=0, xu=1)
    front = {tuple(one.F): one.get("architecture") for one in minimize(search, NSGA2(64), ("n_gen", 20), seed=0).opt}
    for (error, flops), architecture in sorted(front.items(), key=lambda pair: pair[0]):
        print(-error, flops, architecture)
