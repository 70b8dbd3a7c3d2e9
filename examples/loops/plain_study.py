"""Plain Python with a study: trains what the study suggests; resumes, and several processes share the work.

PYTHONPATH=. ARCHRANK_URL=http://127.0.0.1:8000 python examples/loops/plain_study.py
"""
# ruff: noqa: T201

from archrank_client import Client
from my_training import train  # yours: trains an architecture and returns its accuracy, a fraction


def result(architecture):
    try:
        return {"architecture": architecture, "value": train(architecture)}
    except Exception as error:
        return {"architecture": architecture, "value": None, "error": repr(error)}


with Client() as client:
    study = client.study("plain_study", space="gcn-nas", task="my data")
    while study.state().observations.total < 30:
        study.observe_many(result(suggestion.architecture) for suggestion in study.suggest(1, wait=10))
    best = study.state().best[0]
    print(best.value, best.architecture)
