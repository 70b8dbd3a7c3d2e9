"""Colors of the report, of search figures and of the figures in the docs, by CSS variable and theme."""

from collections.abc import Mapping
from typing import Final

LIGHT: Final[Mapping[str, str]] = {
    "--paper": "#ffffff",
    "--ink": "#1b1f24",
    "--muted": "#57606a",
    "--rule": "#d5dae0",
    "--shade": "#f5f6f8",
    "--link": "#0b57a4",
    "--published": "#b35900",
    "--ours": "#0b63b5",
    "--positive": "#00805e",
    "--negative": "#8a3a9e",
    "--depth-0": "#e87059",
    "--depth-1": "#d35171",
    "--depth-2": "#b83289",
    "--depth-3": "#9613a1",
    "--depth-4": "#6f00a8",
    "--depth-5": "#44039e",
    "--depth-6": "#0d0887",
    "--series-0": "#0b63b5",
    "--series-1": "#c65100",
    "--series-2": "#00805e",
    "--series-3": "#b0568a",
    "--series-4": "#57606a",
    "--series-5": "#8a6d00",
}
"""Light theme, also used in print."""

DARK: Final[Mapping[str, str]] = {
    "--paper": "#14171b",
    "--ink": "#e6e8eb",
    "--muted": "#9aa4af",
    "--rule": "#343a42",
    "--shade": "#1c2026",
    "--link": "#7db8f5",
    "--published": "#f0a14a",
    "--ours": "#6cb2ff",
    "--positive": "#3ec79b",
    "--negative": "#d58be6",
    "--depth-0": "#b6308b",
    "--depth-1": "#cd4a76",
    "--depth-2": "#e06363",
    "--depth-3": "#f07f4f",
    "--depth-4": "#fa9c3c",
    "--depth-5": "#febe2a",
    "--depth-6": "#f7e425",
    "--series-0": "#6cb2ff",
    "--series-1": "#ff8f4d",
    "--series-2": "#3ec79b",
    "--series-3": "#e59ac3",
    "--series-4": "#9aa4af",
    "--series-5": "#d6bd4c",
}
"""Dark theme of screens."""


def css() -> str:
    """Style sheet that defines the variables for both themes."""
    light, dark = (" ".join(f"{name}: {color};" for name, color in theme.items()) for theme in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )
