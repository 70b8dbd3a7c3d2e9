"""Ray Tune on two cores, with its Optuna search: a trial is one prediction, in a process that is reused.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/ray_tune_loop.py
"""
# ruff: noqa: T201

import ray
from archrank_client import Client
from ray.tune import RunConfig, TuneConfig, Tuner, choice
from ray.tune.search.optuna import OptunaSearch

# The eight modules of a layer as bits; at least one of the last three, which are attention.
ROWS = [f"{n:08b}" for n in range(256) if n % 8]


def architecture(config):
    return {"mask": [[int(bit) for bit in config[f"layer {i}"]] for i in range(config["depth"])]}


def evaluate(config):
    with Client() as client:
        (prediction,) = client.predict([architecture(config)], proxies=[])
    return {"accuracy": prediction.accuracy}  # raises the error of a failure, which fails the trial


with Client() as client, ray.init(num_cpus=2, include_dashboard=False):
    depths = client.spaces()["gcn-nas"]["depths"]
    space = {"depth": choice(depths), **{f"layer {i}": choice(ROWS) for i in range(max(depths))}}
    search = OptunaSearch(seed=0)
    config = TuneConfig(metric="accuracy", mode="max", search_alg=search, num_samples=32, reuse_actors=True)
    tuner = Tuner(evaluate, param_space=space, tune_config=config, run_config=RunConfig(verbose=0))
    best = tuner.fit().get_best_result()
    print(best.metrics["accuracy"], architecture(best.config))
