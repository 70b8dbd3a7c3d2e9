import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from ensemble import Benchmark, BenchmarkError, Entry, ScoreTable
from ensemble.report import figures, write_report
from ensemble.report.palette import CSS_VARIABLES, DARK, LIGHT, THEME, Palette
from ensemble.report.tables import MINUS, NARROW_SPACE, NO_VALUE
from tests.ensemble.report.conftest import parsed, text

SECTIONS = (
    "correlations", "normality", "scatter", "matrix", "votes", "epochs", "seconds", "within-stratum", "combiners",
    "learning", "uncertainty", "cost", "checks",
)  # fmt: skip


def section(page: Path, key: str) -> ElementTree.Element:
    element = parsed(page).find(f".//section[@id='{key}']")
    assert element is not None
    return element


def test_every_section_is_present_and_listed(page: Path) -> None:
    root = parsed(page)
    assert tuple(element.get("id") for element in root.iter("section")) == SECTIONS
    assert [link.get("href") for link in root.findall(".//nav//a")] == [f"#{key}" for key in SECTIONS]
    assert not [element for element in root.iter("p") if element.get("class") == "missing"]


def test_the_page_is_self_contained(page: Path) -> None:
    source = page.read_text()
    root = parsed(page)
    assert "http" not in source.replace("http-equiv", "")
    assert not re.search(r"\bsrc=|@import|<script|<link|javascript:| on\w+=", source)
    assert set(re.findall(r"url\((.)", source)) <= {"#"}
    links = {link.get("href", "") for link in root.iter("a")}
    assert {link for link in links if not link.startswith("#")} == {path.name for path in page.parent.glob("*.csv")}


def test_ids_are_unique_and_references_resolve(page: Path) -> None:
    root = parsed(page)
    ids = Counter(element.get("id") for element in root.iter() if element.get("id"))
    assert set(ids.values()) == {1}
    source = page.read_text()
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', source)) | set(
        re.findall(r'aria-labelledby="([^"]+)"', source)
    )
    assert referred <= set(ids)


def test_figures_follow_the_theme_and_have_accessible_names(page: Path) -> None:
    root = parsed(page)
    svgs = [svg for svg in root.iter("svg") if svg.get("class") == "figure"]
    assert len(svgs) > 15
    for svg in svgs:
        assert svg.get("role") == "img"
        assert len(svg.get("aria-label", "")) > 20
    drawn = "".join(ElementTree.tostring(svg, encoding="unicode") for svg in svgs)
    assert not re.search("#[0-9a-f]{6}|DejaVu|metadata", drawn)
    used = set(re.findall(r"var\((--[\w-]+)\)", page.read_text()))
    defined = re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", page.read_text())
    assert used <= {name for name, _ in defined}
    assert set(Counter(name for name, _ in defined).values()) == {2}  # light and dark


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_colors_stand_out_from_the_paper(palette: Palette) -> None:
    for color in (palette.ink, palette.muted, palette.link):
        assert contrast(color, palette.paper) >= 4.5
    for name, color in palette.css_variables.items():
        if name not in ("--paper", "--rule", "--shade"):
            assert contrast(color, palette.paper) >= 3
    # Lightness tells depths apart for readers with any color vision.
    ramp = [luminance(color) for color in palette.ramp]
    assert ramp == sorted(ramp, reverse=palette is LIGHT)


def test_palettes_define_the_same_variables() -> None:
    assert list(LIGHT.css_variables) == list(DARK.css_variables) == list(CSS_VARIABLES.values())


def number(shown: str) -> float:
    return float(shown.replace(MINUS, "-").replace(NARROW_SPACE, ""))


def same(shown: str, value: str) -> bool:
    """Compare a cell with the field of a CSV file, to the last digit shown."""
    if shown == NO_VALUE:
        return value == ""
    try:
        precise = float(value)
    except ValueError:
        return shown == value
    mantissa, _, exponent = shown.partition("e")
    last = number(exponent or "0") - len(mantissa.partition(".")[2])
    return abs(number(shown) - precise) <= 0.5001 * float(10.0**last)


def test_every_table_reads_back_from_its_file(page: Path) -> None:
    tables = {str(element.get("id")): element for element in parsed(page).iter("table")}
    assert {f"{key.removeprefix('table-')}.csv" for key in tables} == {path.name for path in page.parent.glob("*.csv")}
    for key, table in tables.items():
        with (page.parent / f"{key.removeprefix('table-')}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        shown = table.findall("./tbody/tr")
        assert len(rows) == len(shown) > 0
        assert len(set(header)) == len(header)
        columns = [name for name in header if name.removesuffix("_std") not in header or not name.endswith("_std")]
        assert len(columns) == len(table.findall("./thead/tr")[-1])
        for row, cells in zip(rows, shown, strict=True):
            fields = dict(zip(header, row, strict=True))
            for name, cell in zip(columns, cells, strict=True):
                mean, _, sd = text(cell).partition(" ± ")
                assert same(mean, fields[name]), (key, name, mean, fields[name])
                assert same(sd or NO_VALUE, fields.get(f"{name}_std", "")), (key, name, sd)


def test_tables_name_their_rows_and_columns(page: Path) -> None:
    for table in parsed(page).iter("table"):
        assert {cell.get("scope") for cell in table.findall("./thead//th")} <= {"col", "colgroup"}
        assert all(row[0].get("scope") == "row" for row in table.findall("./tbody/tr"))
        widths = {sum(int(cell.get("colspan", 1)) for cell in row) for row in table.iter("tr")}
        assert len(widths) == 1


def test_missing_data_is_noted(bare: Benchmark, tmp_path: Path) -> None:
    written = write_report(bare, None, {}, tmp_path / "report")
    missing = {element.get("id"): element.findall("p[@class='missing']") for element in parsed(written).iter("section")}
    assert set(missing) == set(SECTIONS)
    assert {key for key, notices in missing.items() if not notices} == {"normality"}
    assert "<svg" not in written.read_text()
    assert {path.name for path in tmp_path.glob("report/*.csv")} == {"correlations.csv", "normality.csv"}


@pytest.mark.parametrize(
    ("parts", "sections"),
    [
        ({"combiners"}, {"within-stratum", "combiners"}),
        ({"learning_curves", "control"}, {"learning", "checks"}),
        ({"intervals", "noise"}, {"uncertainty", "checks"}),
        ({"pairs"}, {"uncertainty"}),
        ({"method", "scores", "benchmark", "versions"}, set()),
    ],
)
def test_any_part_of_the_evaluation_may_be_missing(
    bare: Benchmark, evaluation: dict[str, Any], tmp_path: Path, parts: set[str], sections: set[str]
) -> None:
    less = {key: value for key, value in evaluation.items() if key not in parts}
    written = write_report(bare, None, less, tmp_path / "report")
    missing = {
        element.get("id")
        for element in parsed(written).iter("section")
        if any("evaluation" in text(reason) for reason in element.findall("p[@class='missing']"))
    }
    assert missing == sections


def test_ours_alone(bare: Benchmark, scores: ScoreTable, tmp_path: Path) -> None:
    written = write_report(bare, scores, {}, tmp_path / "report")
    assert "published" not in text(section(written, "correlations"))
    assert not section(written, "matrix").findall("p[@class='missing']")


def test_parts_of_different_benchmarks_are_refused(
    benchmark: Benchmark, evaluation: dict[str, Any], optional_parts: dict[str, Any], tmp_path: Path
) -> None:
    other = Benchmark("other", benchmark.space, benchmark.entries[:-1])
    with pytest.raises(BenchmarkError, match="data_hash"):
        write_report(other, None, evaluation, tmp_path / "report")
    with pytest.raises(BenchmarkError, match="by_epoch"):
        write_report(other, None, {}, tmp_path / "report", by_epoch=optional_parts["by_epoch"])
    with pytest.raises(BenchmarkError, match="seconds"):
        write_report(other, None, {}, tmp_path / "report", our_seconds=optional_parts["our_seconds"])
    assert list(tmp_path.iterdir()) == []


def test_names_of_proxies_are_escaped(benchmark: Benchmark, tmp_path: Path) -> None:
    name = 'a<b>&"#)'
    entries = tuple(Entry(e.architecture, e.accuracy, None, {name: e.scores["zen"]}) for e in benchmark.entries)
    written = write_report(Benchmark("own", benchmark.space, entries), None, {}, tmp_path / "report")
    assert any(name in svg.get("aria-label", "") for svg in parsed(written).iter("svg"))
    assert set(re.findall(r"url\(#([^)]+)\)", written.read_text())) <= {
        element.get("id") for element in parsed(written).iter()
    }
    with (tmp_path / "report" / "correlations.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["score", "number of layers", "parameters", name]


def test_too_few_architectures(benchmark: Benchmark, tmp_path: Path) -> None:
    few = Benchmark("few", benchmark.space, benchmark.entries[:19])
    with pytest.raises(BenchmarkError, match="at least 20"):
        write_report(few, None, {}, tmp_path / "report")


def test_a_matrix_in_hundredths() -> None:
    values = np.array([[1.0, -0.004, 0.5], [-0.004, 1.0, -0.771], [0.5, -0.771, 1.0]])
    numbers, plain = (figures.matrix("m", "a matrix", "", ["p", "q", "r"], values, shown) for shown in (True, False))
    cells = [element.text for element in ElementTree.fromstring(numbers).iter("text")]
    assert [cells.count(shown) for shown in ("0", "50", "−77", "100")] == [2, 2, 2, 0]
    assert {element.text for element in ElementTree.fromstring(plain).iter("text")} == {"p", "q", "r"}


def test_a_matplotlibrc_changes_nothing() -> None:
    def drawn() -> str:
        return figures.dots("d", "dots", ["a", "b"], [figures.Series([0.1, None], THEME.ours)], "axis")

    plain = drawn()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "path", "axes.grid": True}):
        assert drawn() == plain
        assert mpl.rcParams["font.size"] == 20
