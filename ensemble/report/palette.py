"""Colors of the report, one palette for light pages and one for dark pages."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Palette:
    """Hexadecimal RGB colors by role.

    Attributes:
        paper: background.
        ink: text and reference lines.
        muted: secondary text, axes.
        rule: grid lines and borders.
        shade: background of every other table row.
        link: hyperlinks.
        published: published proxy scores.
        ours: proxy scores computed by archrank.
        positive: positive correlations.
        negative: negative correlations.
        ramp: sequential ramp, from the lowest stratum to the highest.
        series: categorical colors.
    """

    paper: str
    ink: str
    muted: str
    rule: str
    shade: str
    link: str
    published: str
    ours: str
    positive: str
    negative: str
    ramp: tuple[str, ...]
    series: tuple[str, ...]

    @property
    def css_variables(self) -> dict[str, str]:
        """CSS custom properties and their values, such as `--ink` and `--ramp-0`."""
        variables: dict[str, str] = {}
        for role in fields(self):
            value: str | tuple[str, ...] = getattr(self, role.name)
            if isinstance(value, str):
                variables[f"--{role.name}"] = value
            else:
                variables.update({f"--{role.name}-{i}": color for i, color in enumerate(value)})
        return variables


LIGHT = Palette(
    paper="#ffffff",
    ink="#1b1f24",
    muted="#57606a",
    rule="#d5dae0",
    shade="#f5f6f8",
    link="#0b57a4",
    published="#b35900",
    ours="#0b63b5",
    positive="#00805e",
    negative="#8a3a9e",
    ramp=("#e87059", "#d35171", "#b83289", "#9613a1", "#6f00a8", "#44039e", "#0d0887"),
    series=("#0b63b5", "#c65100", "#00805e", "#b0568a", "#57606a", "#8a6d00"),
)
DARK = Palette(
    paper="#14171b",
    ink="#e6e8eb",
    muted="#9aa4af",
    rule="#343a42",
    shade="#1c2026",
    link="#7db8f5",
    published="#f0a14a",
    ours="#6cb2ff",
    positive="#3ec79b",
    negative="#d58be6",
    ramp=("#b6308b", "#cd4a76", "#e06363", "#f07f4f", "#fa9c3c", "#febe2a", "#f7e425"),
    series=("#6cb2ff", "#ff8f4d", "#3ec79b", "#e59ac3", "#9aa4af", "#d6bd4c"),
)
THEME = Palette(
    paper="#000004",
    ink="#000001",
    muted="#000002",
    rule="#000003",
    shade="#000005",
    link="#000006",
    published="#000011",
    ours="#000012",
    positive="#000021",
    negative="#000022",
    ramp=tuple(f"#00003{i}" for i in range(7)),
    series=tuple(f"#00004{i}" for i in range(6)),
)
"""Placeholder colors of figures inside a page, which `svg.render` replaces by CSS variables that follow its theme."""
CSS_VARIABLES = {color: name for name, color in THEME.css_variables.items()}
"""CSS variable of each placeholder color."""
