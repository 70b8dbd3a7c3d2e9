"""Command `evolve`: proxies by genetic programming."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.common import app, settings
from service.cli.learning import CORES, load_tables

if TYPE_CHECKING:
    from evolution import Measurements
    from evolution.layer_statistics import Measure


@app.command()
def evolve(
    benchmark: Annotated[
        list[Path],
        typer.Option(
            help="folder of the public JSON files, or a JSON Lines file; of several, the least fitness counts"
        ),
    ],
    out: Annotated[Path, typer.Option(help="folder of evolved proxies, that ARCHRANK_EVOLVED_DIR may name")],
    name: Annotated[str, typer.Option(help="name of the proxy, evolved:<name>")],
    scores: Annotated[
        list[Path] | None,
        typer.Option(help="table of `benchmark score`, one for each benchmark; by default the shipped one"),
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="benchmark to test on alone, such as another data set; may be repeated")
    ] = None,
    test_scores: Annotated[list[Path] | None, typer.Option(help="table of scores, one for each --test")] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="also read the layers' tensors, measured on each network once")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=2, help="number of architectures, evenly from the strata; all by default")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="within_stratum, stratified (by accuracy) or overall, which learns to count layers")
    ] = "within_stratum",
    population: Annotated[int, typer.Option(min=4, help="expressions of a generation")] = 200,
    generations: Annotated[int, typer.Option(min=1, help="number of generations")] = 40,
    max_depth: Annotated[int, typer.Option(min=1, max=10, help="depth of the expressions")] = 5,
    penalty: Annotated[float, typer.Option(min=0, help="subtracted from the fitness for each node")] = 0.002,
    parts: Annotated[int, typer.Option(min=1, help="parts of the training rows whose fitness is averaged")] = 3,
    folds: Annotated[int, typer.Option(min=2, help="folds of the outer cross-validation")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="seed of folds and evolution")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="number of processes")] = CORES,
    backend: Annotated[
        Literal["process", "ray"], typer.Option(help="measures layers: these processes, or actors of a Ray cluster")
    ] = "process",
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Evolve a proxy and test it on held-out architectures; can be interrupted and resumed."""
    import json

    from rich.console import Console

    from common.atomic_files import check_new_folder, write_atomically
    from common.documents import check_fields
    from common.errors import InputError
    from common.extras import require_extra
    from proxies.evolved import EvolvedDocument, EvolvedProxy
    from proxies.evolved.proxy import readable_proxies
    from proxies.registry import proxies_by_name
    from service.cli.evolution_tables import evolution_tables, shown

    require_extra("evolve", "deap")
    from evolution import EvolutionSettings
    from evolution import evolve as run_evolution

    fields = {"objective": objective, "population": population, "generations": generations, "max_depth": max_depth}
    chosen = check_fields(
        EvolutionSettings,
        fields | {"penalty": penalty, "parts": parts, "folds": folds, "seed": seed},
        "options of evolve",
    )
    check_fields(EvolvedDocument, {"name": name, "expression": 0}, "options of evolve")
    if backend == "ray" and not layers:
        raise InputError("backend", backend, "process, as only the layers of --layers are measured in a cluster")
    check_new_folder(out)
    work = out / name
    work.mkdir(parents=True, exist_ok=True)
    options = _Options(work / "measured", layers, limit, jobs, backend)
    trained = [_measure(*pair, options) for pair in _pairs("scores", benchmark, scores)]
    tests = [_measure(*pair, options) for pair in _pairs("test-scores", test, test_scores)]
    with shown(chosen) as progress:
        report = run_evolution(trained, chosen, tests, work / "checkpoints", jobs, progress)
    source = f"archrank evolve on {', '.join(each.name for each in trained)}"
    proxy = EvolvedProxy(name, report.expression, readable_proxies(proxies_by_name()), source)
    document = EvolvedDocument(name=name, expression=report.expression.to_json(), hash=proxy.hash, source=source)
    content = report.document | {"formula": asdict(proxy.formula)}
    write_atomically(work / "report.json", json.dumps(content, indent=1, allow_nan=False).encode())
    write_atomically(out / f"{name}.json", document.model_dump_json(indent=1).encode())
    if as_json:
        typer.echo(json.dumps(content, allow_nan=False))
    else:
        Console().print(*evolution_tables(content), sep="\n")
        typer.echo(f"{proxy.info.name} in {out / name}.json")


def _pairs(field: str, benchmarks: list[Path] | None, tables: list[Path] | None) -> "list[tuple[Path, Path | None]]":
    """Return each benchmark with its table of scores; None for the shipped one."""
    from common.errors import InputError

    benchmarks = benchmarks or []
    if not tables:
        return [(path, None) for path in benchmarks]
    if len(tables) != len(benchmarks):
        raise InputError(field, f"{len(tables)} tables", f"{len(benchmarks)}, one for each benchmark")
    return list(zip(benchmarks, tables, strict=True))


@dataclass(frozen=True)
class _Options:
    """Options of measuring networks."""

    cache: Path
    layers: bool
    limit: int | None
    jobs: int
    backend: str

    def in_cluster(self) -> "Measure | None":
        """Return what measures layers in the cluster of the settings `ARCHRANK_RAY_*`; None for processes."""
        if self.backend == "process":
            return None
        from service.app import ray_options
        from service.workers.ray_layers import in_cluster

        return in_cluster(replace(ray_options(settings()), max_workers=self.jobs))


def _measure(path: Path, scores: Path | None, options: _Options) -> "Measurements":
    from common.errors import InputError
    from evolution import measure_architectures
    from service.cli.evolution_tables import measuring

    trained, table, _ = load_tables(path, scores, None)
    if table is None:
        raise InputError("scores", None, f"a table of `archrank benchmark score` for {trained.name}")
    with measuring(trained.name) as progress:
        return measure_architectures(
            trained,
            table,
            options.cache,
            options.layers,
            options.limit,
            options.jobs,
            progress,
            options.in_cluster(),
        )
