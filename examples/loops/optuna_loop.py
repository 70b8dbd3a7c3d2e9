"""Optuna by ask and tell: 64 trials predicted in one call; a trial without a prediction is told as failed.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/optuna_loop.py
"""
# ruff: noqa: T201

import optuna
from archrank_client import Client

# A layer's five modules with a fixed graph as bits, and its three with attention, of which it has at least one.
FIXED, ATTENTION = [f"{n:05b}" for n in range(32)], [f"{n:03b}" for n in range(1, 8)]


def mask(draw):
    rows = [draw(f"fixed {i}", FIXED) + draw(f"attention {i}", ATTENTION) for i in range(draw("depth", depths))]
    return [[int(bit) for bit in row] for row in rows]


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    for _ in range(4):
        trials = [study.ask() for _ in range(64)]
        architectures = [{"mask": mask(trial.suggest_categorical)} for trial in trials]
        for trial, result in zip(trials, client.predict(architectures, proxies=[]), strict=True):
            good = result.ok and not result.warnings
            trial.set_user_attr("architecture", result.architecture)
            study.tell(trial, result.accuracy if good else None, None if good else optuna.trial.TrialState.FAIL)
    print(study.best_value, study.best_trial.user_attrs["architecture"])
