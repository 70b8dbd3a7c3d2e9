"""Shipped formula of gcn-nas with other initial weights than those that it was evolved on."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.evolution.sources import ROOT, WORK
from common.atomic_files import write_atomically
from ensemble import load_benchmark, load_scores, write_table
from ensemble.evaluation.metrics import prediction_metrics, rows_by_stratum
from proxies.registry import EVOLVED_DIR, proxies_by_name
from service.cli.score_benchmark import score_benchmark

NAME = "evolved:gcn-nas"
RESULTS = ROOT / "docs" / "data" / "evolution" / "seeds.json"
SEEDS = (0, 1)
BY_DEPTH = 25
"""Architectures of each depth, the first by fingerprint, which is a hash."""


def compare_seeds(benchmarks: Path, jobs: int) -> None:
    """Score architectures with two seeds, and write ρ with the accuracy and between the seeds, within the depths."""
    os.environ[EVOLVED_DIR] = str(ROOT / "examples" / "evolved")
    proxies_by_name.cache_clear()
    whole = load_benchmark(benchmarks / "gcn-nas-ntu" / "data", "gcn-nas")
    by_hash = np.argsort([architecture.fingerprint for architecture in whole.architectures])
    chosen = np.concatenate([rows[:BY_DEPTH] for rows in rows_by_stratum(whole.strata[by_hash]).values()])
    part = replace(whole, entries=tuple(whole.entries[i] for i in by_hash[chosen]))
    WORK.mkdir(parents=True, exist_ok=True)
    table = WORK / "seeds.jsonl"
    write_table(part, table)
    values = []
    for seed in SEEDS:
        scores = WORK / f"seeds-{seed}.scores.jsonl"
        score_benchmark(table, scores, seed=seed, proxies=[NAME], jobs=jobs, space=whole.space)
        features = load_scores(scores).features
        values.append(np.array([features[each.fingerprint][NAME] for each in part.architectures], dtype=np.float64))
    rho = [prediction_metrics(each, part.accuracy, part.strata)["within_stratum_spearman"] for each in values]
    between = prediction_metrics(values[0], values[1], part.strata)["within_stratum_spearman"]
    document = {"architectures": len(part), "accuracy": dict(zip(map(str, SEEDS), rho, strict=True)), "seeds": between}
    write_atomically(RESULTS, json.dumps(document, indent=1).encode() + b"\n")
