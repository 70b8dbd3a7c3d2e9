"""Ray Tune, on two cores of this machine, with its Optuna search: a trial is a prediction, its process is reused.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/ray_tune_loop.py
"""
# ruff: noqa: T201

import ray
from archrank_client import Client
from ray.tune import RunConfig, TuneConfig, Tuner, choice
from ray.tune.search.optuna import OptunaSearch

# A layer's eight modules; of the last three, which are attention, at least one.
ROWS = [f"{n:08b}" for n in range(256) if n % 8]


def architecture(config):
    return {"mask": [[int(bit) for bit in config[f"layer {i}"]] for i in range(config["depth"])]}


def evaluate(config):
    with Client() as client:
        (one,) = client.predict([architecture(config)], proxies=[])
    return {"accuracy": one.accuracy}  # a failure has none: reading it raises, and Ray counts the trial as failed


with Client() as client, ray.init(num_cpus=2, include_dashboard=False):
    depths = client.spaces()["gcn-nas"]["depths"]
    space = {"depth": choice(depths), **{f"layer {i}": choice(ROWS) for i in range(max(depths))}}
    search = OptunaSearch(seed=0)
    config = TuneConfig(metric="accuracy", mode="max", search_alg=search, num_samples=32, reuse_actors=True)
    tuner = Tuner(evaluate, param_space=space, tune_config=config, run_config=RunConfig(verbose=0))
    best = tuner.fit().get_best_result()
    print(best.metrics["accuracy"], architecture(best.config))
