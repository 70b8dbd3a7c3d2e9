"""CPU time of a refit of a study and of its quality, against the budget: 2 s at 200 observations, 10 s at 2,000.

OMP_NUM_THREADS=1 python -m benchmarks.study_fits

Architectures of `nas-bench-graph` with the sources of eight data sets; the values are made up, as times do not depend
on them. A tenth of the trainings failed.
"""

import sys
from time import process_time

import numpy as np

from benchmarks.markdown import markdown
from models import Architecture, get_space
from study import (
    Observation,
    StudyDefinition,
    StudyMetric,
    StudyPredictor,
    estimate_quality,
    load_sources,
    source_names,
    suggest,
)

BUDGETS = {20: 2.0, 200: 2.0, 2000: 10.0}
"""Seconds of a refit with its quality, by number of observations."""


def main() -> None:
    space = get_space("nas-bench-graph", dataset="cora")
    names = tuple(name for name in source_names(space) if name != "nas-bench-graph-cora")
    sources = load_sources(names, space)
    definition = StudyDefinition("study", space.name, space.settings, "", StudyMetric(), names)
    rng = np.random.default_rng(0)
    sample: dict[Architecture, None] = {}
    while len(sample) < max(BUDGETS):
        sample[space.sample(rng)] = None
    known = [Observation(arch, None if i % 10 == 0 else float(rng.random())) for i, arch in enumerate(sample)]
    rows = [["observations", "fit, s", "quality, s", "both ÷ budget", "predict 64, s", "suggest 5, s"], ["---:"] * 6]
    for size, budget in BUDGETS.items():
        start = process_time()
        predictor = StudyPredictor.fit(definition, space, known[:size], sources)
        fitted = process_time()
        estimate_quality(predictor)
        estimated = process_time()
        predictor.predict(list(sample)[:64])
        predicted = process_time()
        suggest(predictor, 5)
        times = (fitted - start, estimated - fitted, predicted - estimated, process_time() - predicted)
        fit, quality, predict, choice = (f"{seconds:.2f}" for seconds in times)
        ratio = f"{(estimated - start) / budget:.2f}"
        rows.append([f"{size:,}", fit, quality, ratio, predict, choice])
    sys.stdout.write(markdown(rows))


if __name__ == "__main__":
    main()
