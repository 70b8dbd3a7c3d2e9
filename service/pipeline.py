"""Request → architecture → network → passes → proxies → features → ensemble → answer."""

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from models import Architecture, InputError
from proxies import Score, proxy_versions, score
from service import answers
from service.answers import Results, Said
from service.cache import Memory
from service.errors import ProblemError
from service.library import Library, Model, Probe
from service.schemas import PredictionRequest, PredictionResponse, ScoreRequest, ScoreResponse
from service.worker import Work

log = logging.getLogger(__name__)
NOTHING = Memory(0)


def predict(request: PredictionRequest, library: Library, memory: Memory = NOTHING) -> Work[PredictionResponse]:
    """The work that answers the request, less what `memory` holds from earlier ones.

    Raises `InputError` or `ProblemError` before any of it is done.
    """
    model = library.model(request.ensemble)
    combiner = model.combiner(request.combiner)
    proxies = _chosen(request.proxies, model.proxies)
    probe = _seeded(model.probe, request.seed)
    results = _read(request.architectures, probe)
    waiting = _recall(results, probe, proxies, memory)

    def steps() -> Generator[None, None, PredictionResponse]:
        started = perf_counter()
        yield from _score(waiting, results, probe, proxies, memory)
        said = yield from _predict(results, model, combiner, probe, memory)
        if request.explain:
            yield from _explain(results, said, model, combiner)
        return answers.predictions(results, said, model, probe, request.compare, perf_counter() - started)

    return Work(len(waiting), steps())


def score_all(request: ScoreRequest, library: Library, memory: Memory = NOTHING) -> Work[ScoreResponse]:
    """As `predict`, but the answer is the proxies' scores."""
    proxies = _chosen(request.proxies, None)
    probe = _seeded(library.probe, request.seed)
    results = _read(request.architectures, probe)
    waiting = _recall(results, probe, proxies, memory)

    def steps() -> Generator[None, None, ScoreResponse]:
        started = perf_counter()
        yield from _score(waiting, results, probe, proxies, memory)
        return answers.scores(results, probe, perf_counter() - started)

    return Work(len(waiting), steps())


def _chosen(names: Sequence[str] | None, default: Sequence[str] | None) -> dict[str, str]:
    """The proxies to compute, their versions by name. Raises `UnknownNameError`."""
    return proxy_versions(default if names is None else names)


def _seeded(probe: Probe, seed: int | None) -> Probe:
    return probe if seed is None else replace(probe, seed=seed)


def _read(texts: Sequence[Any], probe: Probe) -> Results:
    """Each architecture, or what is wrong with it. Raises `ProblemError` where all are wrong."""
    read: list[Architecture | InputError] = []
    for i, text in enumerate(texts):
        try:
            read.append(probe.space.parse(text))
        except InputError as error:
            read.append(error.within(f"architectures[{i}]"))
    errors = [one for one in read if isinstance(one, InputError)]
    if len(errors) == len(read):
        raise ProblemError(422, "; ".join(map(str, errors[:3])), errors)
    return Results(read)


def _recall(results: Results, probe: Probe, proxies: Mapping[str, str], memory: Memory) -> list[Architecture]:
    """Take the scores that are known, and say which architectures lack some."""
    for arch in results.architectures:
        known = _known(arch, probe, proxies, memory)
        if len(known) == len(proxies):  # from structure alone, that is always so
            results.scores[arch] = known
    return [arch for arch in results.architectures if arch not in results.scores]


def _known(arch: Architecture, probe: Probe, proxies: Mapping[str, str], memory: Memory) -> dict[str, Score]:
    keys = probe.keys(arch, proxies)
    found = memory.scores.get(keys.values())
    return {name: found[key] for name, key in keys.items() if key in found}


def _score(
    waiting: Sequence[Architecture], results: Results, probe: Probe, proxies: Mapping[str, str], memory: Memory
) -> Generator[None, None, None]:
    """The architectures that wait, one a step. What fails stays with its architecture, and is not kept."""
    for arch in waiting:
        yield
        known = _known(arch, probe, proxies, memory)  # another request may have scored it while this one waited
        missing = {name: version for name, version in proxies.items() if name not in known}
        try:
            if missing:
                results.computed.add(arch)
                network = probe.space.build(arch, probe.seed).to(probe.device)
                batch = probe.batch
                found = score(network, batch.x, batch.y, list(missing), probe.seed, probe.draws)
                keys = probe.keys(arch, missing)
                memory.scores.put({keys[name]: one for name, one in found.items() if one.status == "ok"})
                known |= found
            results.scores[arch] = {name: known[name] for name in proxies}
        except Exception as error:
            log.exception("architecture %s could not be scored", arch.fingerprint)
            results.failures[arch] = error


def _predict(
    results: Results, model: Model, combiner: str | None, probe: Probe, memory: Memory
) -> Generator[None, None, Said]:
    """What the ensemble says of the architectures that have scores."""
    if model.compares(combiner):
        memory = NOTHING  # such predictions hold for this request alone
    keys = {arch: model.key(arch, scores, combiner, probe) for arch, scores in results.scores.items()}
    found = memory.predictions.get(keys.values())
    if len(found) < len(keys):
        yield
        found = memory.predictions.get(keys.values())  # again, as above
        missing = {arch: results.scores[arch] for arch, key in keys.items() if key not in found}
        results.computed.update(missing)
        new = model.predict(missing, combiner, probe)
        memory.predictions.put({keys[arch]: one for arch, one in new.items()})
        found |= {keys[arch]: one for arch, one in new.items()}
    return Said({arch: found[key] for arch, key in keys.items()})


def _explain(results: Results, said: Said, model: Model, combiner: str | None) -> Generator[None, None, None]:
    """What moved each prediction, and which edits would raise it, one architecture a step."""
    for arch in said.predictions:
        yield
        said.explanations[arch] = model.explain(arch, results.scores[arch], combiner)
        said.edits[arch] = model.ensemble.edits(arch)
