"""Who may import whom: models ← proxies, models ← ensemble, models ← search, and the service imports all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "proxies", "ensemble", "search", "service")
ALLOWED = {
    "models": set(),
    "proxies": {"models"},
    "ensemble": {"models"},
    "search": {"models"},
    "service": {"models", "proxies", "ensemble", "search"},
}


def imported(file: Path) -> set[str]:
    """Top-level names of everything that a file imports, inside functions too."""
    return {name.split(".")[0] for name in imports(file)}


def imports(file: Path) -> set[str]:
    """Everything that a file imports, by its whole name and that of its module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_the_layers_below(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    forbidden = set(PACKAGES) - ALLOWED[package] - {package}
    found = {str(file.relative_to(ROOT)): imported(file) & forbidden for file in files}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_longer_than_400_lines(package: str) -> None:
    lengths = {str(file): len(file.read_text().splitlines()) for file in (ROOT / package).rglob("*.py")}
    assert {file: length for file, length in lengths.items() if length > 400} == {}


UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib.load", "shelve", "marshal"}
"""What reads these may run what it reads."""
FETCHES = {"urllib.request", "urllib3", "http.client", "requests", "aiohttp", "ftplib", "fsspec", "httpx"}
CLIENTS = {"service/cli/demo.py": {"httpx"}, "service/cli/doctor/setting.py": {"httpx"}}
"""What talks to the server that it has started itself, or that has the port of the settings."""
SAFE_LOADS = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_pickle_is_read_and_no_url_fetched(package: str) -> None:
    files = {str(file.relative_to(ROOT)): file for file in sorted((ROOT / package).rglob("*.py"))}
    found = {name: dangers(file) - CLIENTS.get(name, set()) for name, file in files.items()}
    assert {name: dangerous for name, dangerous in found.items() if dangerous} == {}


def dangers(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return imports(file) & (UNSAFE | FETCHES) | {ast.unparse(call.func) for call in calls if dangerous(call)}


def dangerous(call: ast.Call) -> bool:
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
def test_dangers_are_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text(text)
    assert dangers(tmp_path / "file.py")
