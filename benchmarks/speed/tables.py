"""Tables of the measurements."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from benchmarks.speed.scoring import share_of_limit


def tables(measured: dict[str, Any]) -> Iterator[Table]:
    """Yield every table, in reading order."""
    yield _pairs("machine", {**measured["machine"], **{f"{k}, GFLOP/s": v for k, v in measured["rates"].items()}})
    yield _fourteen(measured)
    yield _passes("fourteen proxies, N = 8, T = 64, seconds by pass", measured["fourteen"], "by_pass_s")
    yield _passes("fourteen proxies, N = 8, T = 64, seconds by proxy", measured["fourteen"], "by_proxy_s")
    yield _scaling("all proxies at the default fidelity", measured["all"], "depth")
    yield _passes("all proxies at the default fidelity, seconds by proxy", measured["all"], "by_proxy_s")
    yield _scaling("10 layers, T = 8, by samples", measured["batch_size"], "batch_size")
    yield _scaling("10 layers, N = 4, by frames", measured["frames"], "frames")
    yield _pairs("peak memory of scoring 10 layers at T = 8, GiB by samples", measured["peak_gib"])
    yield _pairs("architectures scored per second", measured["scored_per_s"])
    yield _pairs("bound of the gain of K architectures in one pass", measured["stacking"])
    yield _pairs("predicted from structure alone, s by number in one call", measured["structure"])
    yield _pairs("predicted from structure alone the second time, s by number in one request", measured["cached"])
    yield _pairs("HTTP", measured["http"])
    yield _pairs("start", measured["start"])


def _fourteen(measured: dict[str, Any]) -> Table:
    table = Table("layers", "forward, s", "forward, GFLOP/s", "fourteen, s", "forward passes", "share of limit")
    table.title = "fourteen proxies, N = 8, T = 64"
    for row in measured["fourteen"]:
        share = share_of_limit(row, measured["rates"]["product_float32"])
        speed = row["forward_gflops"] / row["forward_s"]
        numbers = row["forward_s"], speed, row["total_s"], row["forward_passes"], share
        table.add_row(str(row["depth"]), *map(_number, numbers))
    return table


def _passes(title: str, rows: list[dict[str, Any]], key: str) -> Table:
    names = list(rows[0][key])
    table = Table("layers", *names, title=title)
    for row in rows:
        table.add_row(str(row["depth"]), *(_number(row[key][name]) for name in names))
    return table


def _scaling(title: str, rows: list[dict[str, Any]], key: str) -> Table:
    table = Table(key, "forward, s", "proxies, s", "first time, s", "forward passes", title=title)
    for row in rows:
        numbers = (row[name] for name in ("forward_s", "total_s", "first_s", "forward_passes"))
        table.add_row(str(row[key]), *map(_number, numbers))
    return table


def _pairs(title: str, values: dict[Any, Any]) -> Table:
    table = Table("", "", title=title, show_header=False)
    for name, value in _flat(values):
        table.add_row(name, _number(value))
    return table


def _flat(values: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}, ")
        else:
            yield f"{prefix}{name}", value


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return str(value)
