"""No package reads pickles or fetches URLs."""

import ast
from pathlib import Path

import pytest

from tests.imports import imports

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("common", "models", "proxies", "ensemble", "search", "service")


UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib.load", "shelve", "marshal"}
"""Modules and functions that may execute code while they read data."""
NETWORK = {"urllib.request", "urllib3", "http.client", "requests", "aiohttp", "ftplib", "fsspec", "httpx"}
"""Modules that open network connections."""
CLIENTS = {"service/cli/demo.py": {"httpx"}, "service/cli/doctor/configuration.py": {"httpx"}}
"""Exceptions: modules that connect to a server on the same machine only."""
SAFE_LOADS = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}
"""Functions that are safe with this argument."""


@pytest.mark.parametrize("package", PACKAGES)
def test_no_pickle_is_read_and_no_url_fetched(package: str) -> None:
    files = {str(file.relative_to(ROOT)): file for file in sorted((ROOT / package).rglob("*.py"))}
    violations = {name: unsafe_uses(file) - CLIENTS.get(name, set()) for name, file in files.items()}
    assert {name: calls for name, calls in violations.items() if calls} == {}


def unsafe_uses(file: Path) -> set[str]:
    """Return the unsafe imports and calls of a file."""
    tree = ast.parse(file.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return imports(file) & (UNSAFE | NETWORK) | {ast.unparse(call.func) for call in calls if is_unsafe(call)}


def is_unsafe(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name in SAFE_LOADS:
        option, value = SAFE_LOADS[name]
        return not any(word.arg == option and ast.unparse(word.value) == str(value) for word in call.keywords)
    return name in {"eval", "exec", "joblib.load", "torch.hub.load", "torch.jit.load", "numpy.load", "yaml.load"}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "def late():\n    from urllib.request import urlopen",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, mmap_mode='r')",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_unsafe_uses_are_detected(text: str, tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text(text)
    assert unsafe_uses(tmp_path / "file.py")
