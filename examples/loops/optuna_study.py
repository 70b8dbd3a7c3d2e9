"""Optuna with a study: of 64 random candidates, each trial trains the one with the best prediction.

PYTHONPATH=. ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/optuna_study.py
"""
# ruff: noqa: T201

import optuna
from archrank_client import Client
from archrank_client.optuna import ArchrankSampler
from my_training import train  # yours: trains an architecture and returns its accuracy, a fraction
from optuna.distributions import CategoricalDistribution

# A layer's five modules with a fixed graph as bits, and its three with attention, of which it has at least one.
FIXED, ATTENTION = [f"{n:05b}" for n in range(32)], [f"{n:03b}" for n in range(1, 8)]


def architecture(draw):
    rows = [draw(f"fixed {i}", FIXED) + draw(f"attention {i}", ATTENTION) for i in range(draw("depth", depths))]
    return {"mask": [[int(bit) for bit in row] for row in rows]}


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    choices = {"depth": depths} | {f"fixed {i}": FIXED for i in range(max(depths))}
    choices |= {f"attention {i}": ATTENTION for i in range(max(depths))}
    space = {name: CategoricalDistribution(values) for name, values in choices.items()}
    study = client.study("optuna_study", space="gcn-nas", task="my data")
    sampler = ArchrankSampler(study, space, lambda params: architecture(lambda name, _: params[name]), seed=0)
    loop = optuna.create_study(direction="maximize", sampler=sampler)
    loop.optimize(lambda trial: train(architecture(trial.suggest_categorical)), n_trials=30, catch=(Exception,))
    print(loop.best_value, architecture(lambda name, _: loop.best_params[name]))
