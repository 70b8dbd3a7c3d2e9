"""Tables and figure of docs/scaling.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.markdown import markdown
from benchmarks.replay.figures import standalone
from benchmarks.scaling.scenarios import DATABASE_CORES, MEASURED_WORKERS, TASK_SECONDS, WORKERS, database_ms
from ensemble.report.palette import THEME
from ensemble.report.svg import DASHES, figure_style, render

LABEL = "Architectures per second against the number of workers, simulated, with the measured rates of one server"


def make_tables(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables by name."""
    measured, simulated = results["measured"], results["simulated"]
    return {
        "one server": _table(
            (
                "jobs of",
                "workers",
                "workers allow, /s",
                "simulated, /s",
                "measured, /s",
                "server, ms",
                "PostgreSQL, ms",
            ),
            [
                (
                    kind,
                    f"{workers}",
                    f"{workers / TASK_SECONDS:,.0f}",
                    f"{_simulated(simulated, kind, workers):,.0f}",
                    f"{measured[name]['per_second']:,.0f}",
                    f"{measured[name]['server_ms']:.1f}",
                    f"{database_ms(measured, name):.2f}",
                )
                for kind, counts in MEASURED_WORKERS.items()
                for workers in counts
                for name in [f"servers/{kind}, 1 × {workers}"]
            ],
        ),
        "database": _table(
            ("operation", "per second", "PostgreSQL, ms", "one core allows, /s"),
            [
                *(
                    (
                        f"claim, attempt and result of an item; {fields['clients']} connections, {fields['jobs']} jobs",
                        f"{fields['per_second']:,.0f}",
                        f"{fields['database_ms']:.2f}",
                        f"{1e3 / fields['database_ms']:,.0f}",
                    )
                    for name, fields in measured.items()
                    if name.startswith("queue/")
                ),
                *(
                    (
                        f"heartbeat, {fields['servers']} servers registered",
                        f"{fields['per_second']:,.0f}",
                        f"{fields['database_ms']:.2f}",
                        f"{1e3 / fields['database_ms']:,.0f}",
                    )
                    for name, fields in measured.items()
                    if name.startswith("heartbeats/")
                ),
            ],
        ),
        "servers": _table(
            ("servers", "jobs", "measured, /s", "a server, ms", "PostgreSQL, ms", "servers on a core each allow, /s"),
            [
                (
                    f"{fields['servers']}",
                    f"{fields['jobs']}",
                    f"{fields['per_second']:,.0f}",
                    f"{fields['server_ms']:.1f}",
                    f"{database_ms(measured, name):.2f}",
                    f"{1e3 * fields['servers'] / fields['server_ms']:,.0f}",
                )
                for name, fields in measured.items()
                if name.startswith("servers/scores") and fields["workers"] == 64
            ],
        ),
        "gpus": _table(
            ("jobs of", "GPUs", "s a task", "workers", "servers", "wall time", "GPU-hours", "workers busy"),
            [
                (
                    row["kind"],
                    f"{row['gpus']}",
                    f"{row['task_seconds']:.2f}",
                    f"{row['workers']}",
                    f"{row['servers']}",
                    _duration(row["seconds"]),
                    f"{row['gpu_hours']:.2f}",
                    f"{row['use']:.0%}",
                )
                for row in simulated["gpus"]
            ],
        ),
    }


def make_figure(results: Mapping[str, Any]) -> str:
    """Draw throughput against workers, a panel for each kind of job."""
    measured, curves = results["measured"], results["simulated"]["curves"]
    with figure_style():
        figure = Figure(figsize=(7.5, 3.1), layout="constrained")
        for axes, kind in zip(figure.subplots(1, 2, sharey=True), ("scores", "predictions"), strict=True):
            for i, servers in enumerate((1, 4, 8)):
                points = curves[f"{kind}, {servers}"]
                label = f"{servers} server{'s' * (servers > 1)}, simulated"
                x, y = zip(*((point["workers"], point["per_second"]) for point in points), strict=True)
                axes.plot(x, y, color=THEME.series[i], linestyle=DASHES[i], label=label)
            counts = MEASURED_WORKERS[kind]
            rates = [measured[f"servers/{kind}, 1 × {workers}"]["per_second"] for workers in counts]
            axes.plot(counts, rates, "o", color=THEME.ink, label="1 server, measured")
            ideal = [workers / TASK_SECONDS for workers in (1, 2048)]
            axes.plot((1, 2048), ideal, color=THEME.muted, linewidth=0.8, label="workers alone")
            axes.set(xscale="log", yscale="log", xlim=(1, 2048), ylim=(10, 10_000), title=f"jobs of {kind}")
            axes.set_xlabel("workers, tasks of 30 ms")
            axes.set_xticks(WORKERS, map(str, WORKERS))
            axes.grid(axis="both")
        figure.axes[0].set_ylabel("architectures per second")
        lines, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=5, frameon=False, labelcolor=THEME.ink)
        return standalone(render(figure, "scaling", LABEL))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown([header, ["---", *["---:"] * (len(header) - 1)], *rows])


def _simulated(simulated: Mapping[str, Any], kind: str, workers: int) -> float:
    points = simulated["curves"][f"{kind}, 1"]
    return next(float(point["per_second"]) for point in points if point["workers"] == workers)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def summary(results: Mapping[str, Any]) -> str:
    """Describe what the tables were made with."""
    machine = results["machine"]
    return f"{machine['cores']} cores, load {machine['load']:.0f}; PostgreSQL simulated with {DATABASE_CORES} cores"
