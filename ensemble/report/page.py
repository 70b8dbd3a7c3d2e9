"""Sections as one HTML page that needs nothing else: no script, no request, style and figures inside."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ensemble.report import palette
from ensemble.report.blocks import Block, Figures, Folded, Key, Missing, Section
from ensemble.report.svg import DASHES
from ensemble.report.tables import Table

HERE = Path(__file__).parent
GENERATOR = "archrank report"
"""Tells a page of ours from other pages."""

_SHAPES = {
    "o": '<circle cx="12" cy="6" r="3.4"/>',
    "s": '<path d="M8.8 2.8h6.4v6.4h-6.4z"/>',
    "^": '<path d="M12 2.2l4 7.2h-8z"/>',
    "D": '<path d="M12 1.8l4.2 4.2l-4.2 4.2l-4.2 -4.2z"/>',
    "v": '<path d="M12 9.8l4 -7.2h-8z"/>',
    "P": '<path d="M10.6 2.2h2.8v2.4h2.4v2.8h-2.4v2.4h-2.8v-2.4h-2.4v-2.8h2.4z"/>',
}
"""The markers of `svg.MARKERS`, as the legend draws them."""


def page(title: str, facts: Sequence[tuple[str, str]], summary: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
        title: its heading.
        facts: what the report is about, (name, value).
        summary: sentences at the top.
        sections: in order.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(swatch=swatch, unbroken=unbroken)
    environment.tests.update({name: _is(kind) for name, kind in _KINDS.items()})
    template = environment.get_template("page.html.jinja")
    text = template.render(
        title=title,
        facts=facts,
        summary=summary,
        sections=sections,
        generator=GENERATOR,
        css=Markup(palette.css() + (HERE / "page.css").read_text(encoding="utf-8")),  # trusted
        markup=Markup,
    )
    return text.lstrip()


def swatch(entry: Key) -> Markup:
    """A legend's picture of a line and a marker."""
    parts = []
    if entry.dash is not None:
        pattern = DASHES[entry.dash % len(DASHES)]
        dashes = "" if isinstance(pattern, str) else f' stroke-dasharray="{" ".join(f"{2 * n:g}" for n in pattern[1])}"'
        parts.append(f'<path d="M0 6h24" stroke="var({entry.variable})" stroke-width="2" fill="none"{dashes}/>')
    if entry.marker is not None:
        parts.append(f'<g fill="var({entry.variable})">{_SHAPES[entry.marker]}</g>')
    return Markup(f'<svg class="swatch" viewBox="0 0 24 12" aria-hidden="true">{"".join(parts)}</svg>')


def unbroken(text: str) -> str:
    """The text with absolute values that no line break falls into."""
    return text.replace("|ρ|", "|\u2060ρ\u2060|")


_KINDS: Mapping[str, type[Block]] = {
    "paragraph": str,
    "table": Table,
    "figures": Figures,
    "missing": Missing,
    "folded": Folded,
}


def _is(kind: type[Block]) -> Callable[[Block], bool]:
    return lambda block: isinstance(block, kind)
