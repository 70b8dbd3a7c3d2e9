"""Optuna, by ask and tell: 64 trials are predicted in one call; what has no prediction is told as failed.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/optuna_loop.py
"""
# ruff: noqa: T201

import optuna
from archrank_client import Client

# Which of its five modules with a fixed graph a layer has; and which of its three with attention, at least one.
FIXED, ATTENTION = [f"{n:05b}" for n in range(32)], [f"{n:03b}" for n in range(1, 8)]


def mask(choose):
    rows = [choose(f"fixed {i}", FIXED) + choose(f"attention {i}", ATTENTION) for i in range(choose("depth", depths))]
    return [[int(bit) for bit in row] for row in rows]


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    for _ in range(4):
        trials = [study.ask() for _ in range(64)]
        asked = [{"mask": mask(trial.suggest_categorical)} for trial in trials]
        for trial, one in zip(trials, client.predict(asked, proxies=[]), strict=True):
            good = one.ok and not one.warnings
            trial.set_user_attr("architecture", one.architecture)
            study.tell(trial, one.accuracy if good else None, None if good else optuna.trial.TrialState.FAIL)
    print(study.best_value, study.best_trial.user_attrs["architecture"])
