"""Syne Tune by ask and tell: its regularized evolution, with 64 trials predicted in one call.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/syne_tune_loop.py
"""
# ruff: noqa: NPY002, T201

import numpy as np
from archrank_client import Client
from syne_tune.config_space import choice
from syne_tune.optimizer.baselines import REA
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler

# The eight modules of a layer as bits; at least one of the last three, which are attention.
ROWS = [f"{n:08b}" for n in range(256) if n % 8]


def architecture(trial):
    return {"mask": [[int(bit) for bit in trial.config[f"layer {i}"]] for i in range(trial.config["depth"])]}


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    choices = {"depth": choice(depths), **{f"layer {i}": choice(ROWS) for i in range(max(depths))}}
    np.random.seed(0)  # draws the first trials, which ignore `random_seed`
    scheduler = AskTellScheduler(REA(choices, "accuracy", do_minimize=False, random_seed=0))
    for _ in range(10):
        trials = [scheduler.ask() for _ in range(64)]
        for trial, prediction in zip(trials, client.predict(map(architecture, trials), proxies=[]), strict=True):
            if prediction.ok and not prediction.warnings:
                scheduler.tell(trial, {"accuracy": prediction.accuracy})
    best = max(scheduler.completed_experiments.values(), key=lambda trial: trial.metrics["accuracy"])
    print(best.metrics["accuracy"], architecture(best))
