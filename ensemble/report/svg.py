"""matplotlib figures as SVG elements of a page.

Placeholder colors become CSS variables, so that a figure follows the page's theme. Fonts are the page's, and ids are
unique within it.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from ensemble.report.palette import CSS_VARIABLES, THEME, Palette

MARKERS: Final = ("o", "s", "^", "D", "v", "P")
DASHES: Final = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)), (0, (7, 2)), (0, (2, 2)))


def _settings(palette: Palette) -> dict[str, Any]:
    """Return matplotlib's settings for figures in the colors of a palette."""
    return {
        "font.family": "sans-serif",
        "font.size": 8.0,
        "axes.titlesize": 8.0,
        "axes.titlelocation": "left",
        "axes.labelsize": 8.0,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "text.color": palette.ink,
        "axes.titlecolor": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.muted,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": palette.muted,
        "ytick.color": palette.muted,
        "xtick.labelcolor": palette.ink,
        "ytick.labelcolor": palette.ink,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "grid.color": palette.rule,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "lines.markersize": 4.0,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "svg.fonttype": "none",
        "svg.hashsalt": "archrank",
        "path.simplify": False,
    }


_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_DROPPED = {"metadata", "style"}
_DROPPED_STYLES = {"font-family", "stroke-linejoin", "stroke-miterlimit"}


@contextmanager
def figure_style(palette: Palette = THEME) -> Iterator[None]:
    """Draw in the report's style, regardless of any matplotlibrc.

    Args:
        palette: colors of text, axes and grid; `THEME` for figures that `render` writes.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_settings(palette))  # type: ignore[arg-type]  # keyed by a literal of every setting
        yield


def render(figure: Figure, key: str, label: str) -> str:
    """Render a figure as an `<svg>` element.

    Args:
        figure: figure drawn within `figure_style`.
        key: prefix of its ids.
        label: accessible name.
    """
    # Keys contain names of proxies, and a reference must not contain spaces, quotes or brackets.
    key = re.sub(r"[^\w-]", lambda character: f"_{ord(character[0]):x}_", key, flags=re.ASCII)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=_METADATA)
    root = ElementTree.fromstring(text.getvalue())
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', text.getvalue()))
    _rewrite(root, used, key)
    _unwrap(root)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib.update({"class": "figure", "role": "img", "aria-label": label})
    return ElementTree.tostring(root, encoding="unicode")


def _rewrite(element: ElementTree.Element, used: set[str], key: str) -> None:
    """Remove namespaces, unused ids, fonts and invisible digits, and replace colors."""
    element.tag = element.tag.removeprefix(_SVG)
    element.text = element.tail = (element.text or "").strip() if element.tag == "text" else None
    if element.tag == "text":
        element.tail = None
    attributes = dict(element.attrib)
    element.attrib.clear()
    for name, value in attributes.items():
        if name == "id":
            if value in used:
                element.set("id", f"{key}-{value}")
        elif name == _LINK:
            element.set("href", f"#{key}-{value.removeprefix('#')}")
        elif name == "clip-path":
            element.set(name, value.replace("#", f"#{key}-"))
        elif name == "style":
            element.set(name, _page_style(value))
        elif name == "transform":
            if not value.startswith("rotate(-0 "):
                element.set(name, _short_numbers(value))
        else:
            element.set(name, _short_path(value) if name == "d" else _short_numbers(value))
    for child in list(element):
        _rewrite(child, used, key)
        if child.tag in _DROPPED or (child.tag == "defs" and not len(child)):
            element.remove(child)


def _unwrap(element: ElementTree.Element) -> None:
    """Replace groups without attributes by their children."""
    for child in list(element):
        _unwrap(child)
        if child.tag == "g" and not child.attrib:
            place = list(element).index(child)
            element.remove(child)
            for i, grandchild in enumerate(child):
                element.insert(place + i, grandchild)


def _page_style(style: str) -> str:
    parts = [part.strip() for part in style.split(";")]
    kept = [part for part in parts if part and part.split(":")[0] not in _DROPPED_STYLES]
    return "; ".join(re.sub("#[0-9a-f]{6}", _variable, part) for part in kept)


def _variable(color: re.Match[str]) -> str:
    return f"var({CSS_VARIABLES[color[0]]})"


def _short_path(path: str) -> str:
    path = _short_numbers(" ".join(path.split()))
    # A zero-length line is a dot, which needs no second point.
    path = re.sub(r"M ([-\d.]+ [-\d.]+) L \1(?= M|$)", r"M \1h0", path)
    return re.sub(r" ?([A-Za-z]) ?", r"\1", path)


def _short_numbers(text: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), 2):g}", text)
