"""Self-contained HTML page: style and figures are inline, without scripts or requests."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ensemble.report.blocks import Block, Figures, Folded, LegendEntry, Missing, Section
from ensemble.report.palette import DARK, LIGHT, Palette
from ensemble.report.svg import DASHES
from ensemble.report.tables import Table

TEMPLATES_DIR = Path(__file__).parent
GENERATOR = "archrank report"
"""Content of the meta element that identifies a report."""

_MARKER_SHAPES = {
    "o": '<circle cx="12" cy="6" r="3.4"/>',
    "s": '<path d="M8.8 2.8h6.4v6.4h-6.4z"/>',
    "^": '<path d="M12 2.2l4 7.2h-8z"/>',
    "D": '<path d="M12 1.8l4.2 4.2l-4.2 4.2l-4.2 -4.2z"/>',
    "v": '<path d="M12 9.8l4 -7.2h-8z"/>',
    "P": '<path d="M10.6 2.2h2.8v2.4h2.4v2.8h-2.4v2.4h-2.8v-2.4h-2.4v-2.8h2.4z"/>',
}
"""SVG shapes of matplotlib's markers in a legend."""


def page(title: str, facts: Sequence[tuple[str, str]], summary: Sequence[str], sections: Sequence[Section]) -> str:
    """Render the page.

    Args:
        title: heading.
        facts: name and value of each fact at the top.
        summary: sentences at the top.
        sections: sections in order.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(swatch=swatch, nobreak=nobreak)
    environment.tests.update({name: _is(kind) for name, kind in _KINDS.items()})
    template = environment.get_template("page.html.jinja")
    text = template.render(
        title=title,
        facts=facts,
        summary=summary,
        sections=sections,
        generator=GENERATOR,
        light=_declarations(LIGHT),
        dark=_declarations(DARK),
        css=Markup((TEMPLATES_DIR / "page.css").read_text(encoding="utf-8")),
        markup=Markup,
    )
    return text.lstrip()


def _declarations(palette: Palette) -> str:
    return " ".join(f"{name}: {color};" for name, color in palette.css_variables.items())


def swatch(entry: LegendEntry) -> Markup:
    """Draw the line and the marker of a legend entry."""
    parts = []
    if entry.dash is not None:
        pattern = DASHES[entry.dash % len(DASHES)]
        dashes = "" if isinstance(pattern, str) else f' stroke-dasharray="{" ".join(f"{2 * n:g}" for n in pattern[1])}"'
        parts.append(f'<path d="M0 6h24" stroke="var({entry.css_variable})" stroke-width="2" fill="none"{dashes}/>')
    if entry.marker is not None:
        parts.append(f'<g fill="var({entry.css_variable})">{_MARKER_SHAPES[entry.marker]}</g>')
    return Markup(f'<svg class="swatch" viewBox="0 0 24 12" aria-hidden="true">{"".join(parts)}</svg>')


def nobreak(text: str) -> str:
    """Forbid line breaks inside |ρ|."""
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
