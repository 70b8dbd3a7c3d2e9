"""pymoo with a study: NSGA-II on predictions and FLOPs, two trainings a generation; prints the ten best with FLOPs.

PYTHONPATH=. ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/pymoo_study.py
"""
# ruff: noqa: T201

import numpy as np
from archrank_client import Client
from my_training import train  # yours: trains an architecture and returns its accuracy, a fraction
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.optimize import minimize


class Search(Problem):
    def _evaluate(self, x, out, *args, **kwargs):
        candidates = [{"mask": row[1:].reshape(-1, 8)[: depths[round((len(depths) - 1) * row[0])]] > 0.5} for row in x]
        costs = client.validate(candidates)
        for best in study.suggest(2, [cost.architecture for cost in costs if cost.ok and not cost.warnings], wait=10):
            study.observe(best.architecture, train(best.architecture))
        results = list(zip(study.predict(candidates, wait=10), costs, strict=True))
        out["F"] = np.array([[-p.percentile, cost.flops] if p.ok else [np.nan] * 2 for p, cost in results])
        out["G"] = np.array([[len(cost.warnings) if cost.ok else np.inf] for cost in costs])  # infeasible above 0


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    study = client.study("pymoo_study", space="gcn-nas", task="my data")
    minimize(Search(n_var=1 + 8 * max(depths), n_obj=2, n_ieq_constr=1, xl=0, xu=1), NSGA2(64), ("n_gen", 15), seed=0)
    for best in study.state().best:
        print(best.value, client.validate([best.architecture])[0].flops, best.architecture)
