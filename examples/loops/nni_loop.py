"""NNI: its regularized evolution in one process, with an evaluator that predicts instead of training.

ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/nni_loop.py
"""
# ruff: noqa: E402, T201

import nni
from archrank_client import Client

nni.set_default_framework("none")  # else the imports below need PyTorch Lightning
from nni.mutable import Categorical, MutableDict
from nni.nas.evaluator import FunctionalEvaluator
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy import RegularizedEvolution

# The eight modules of a layer as bits; at least one of the last three, which are attention.
ROWS = [f"{n:08b}" for n in range(256) if n % 8]


class Space(RawFormatModelSpace):
    def executable_model(self):
        return {"mask": [[int(bit) for bit in self.sample[f"layer {i}"]] for i in range(self.sample["depth"])]}


def evaluate(architecture):
    # Reading the accuracy of a failure raises its error, and NNI counts the model as failed.
    nni.report_final_result(client.predict([architecture], proxies=[])[0].accuracy)


with Client() as client:
    depths = client.spaces()["gcn-nas"]["depths"]
    layers = {f"layer {i}": Categorical(ROWS, label=f"layer {i}") for i in range(max(depths))}
    space = Space(MutableDict(layers, depth=Categorical(depths, label="depth")), FunctionalEvaluator(evaluate))
    evolution = RegularizedEvolution(population_size=64, sample_size=10, seed=0)
    evolution(space, SequentialExecutionEngine(max_model_count=256, continue_on_failure=True))
    best = next(evolution.list_models(limit=1))
    print(best.metric, best.executable_model())
