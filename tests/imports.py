"""Imports of a Python file, read from its syntax tree."""

import ast
from pathlib import Path


def imports(file: Path) -> set[str]:
    """Full names of the modules and objects that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def imported_packages(file: Path) -> set[str]:
    """Top-level names of the packages that a file imports."""
    return {name.split(".")[0] for name in imports(file)}
