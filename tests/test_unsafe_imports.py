"""No package reads pickles or fetches URLs."""

import ast
import importlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble import BenchmarkError, load_benchmark
from models.nas_bench_graph.graphs.array_pickle import PickleError, read_pickle
from tests.imports import imports

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("common", "models", "proxies", "ensemble", "search", "study", "training", "evolution", "service")


UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib.load", "shelve", "marshal"}
"""Modules and functions that may execute code while they read data."""
NETWORK = {"urllib.request", "urllib3", "http.client", "requests", "aiohttp", "ftplib", "fsspec", "httpx"}
"""Modules that open network connections."""
CLIENTS = {"service/cli/demo.py": {"httpx"}, "service/cli/doctor/configuration.py": {"httpx"}}
"""Exceptions: modules that connect to a server on the same machine only."""
RESTRICTED_UNPICKLERS = ("models/nas_bench_graph/graphs/array_pickle.py", "ensemble/data/nas_bench_graph.py")
"""Modules that read pickles with an unpickler of their own, which imports nothing that a pickle names."""
SAFE_LOADS = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}
"""Functions that are safe with this argument."""


def read_array_pickle(content: bytes, folder: Path) -> Any:
    return read_pickle(content)


def read_bench(content: bytes, folder: Path) -> Any:
    (folder / "cora.bench").write_bytes(content)
    return load_benchmark(folder / "cora.bench")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_pickle_is_read_and_no_url_fetched(package: str) -> None:
    files = {str(file.relative_to(ROOT)): file for file in sorted((ROOT / package).rglob("*.py"))}
    allowed = CLIENTS | {name: {"pickle"} for name in RESTRICTED_UNPICKLERS}
    violations = {name: unsafe_uses(file) - allowed.get(name, set()) for name, file in files.items()}
    assert {name: calls for name, calls in violations.items() if calls} == {}


@pytest.mark.parametrize("name", RESTRICTED_UNPICKLERS)
def test_restricted_unpicklers_import_nothing(name: str) -> None:
    assert is_restricted((ROOT / name).read_text())


@pytest.mark.parametrize("read", [read_array_pickle, read_bench])
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, importlib.import_module, getattr, breakpoint])
def test_pickles_of_other_names_are_refused(
    read: Callable[[bytes, Path], Any], function: Callable[..., Any], protocol: int, tmp_path: Path
) -> None:
    for obj in (function, {"00000": Call(function, ("os",))}):
        with pytest.raises((PickleError, BenchmarkError), match=r"it names \w+\."):
            read(pickle.dumps(obj, protocol), tmp_path)


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def is_restricted(text: str) -> bool:
    """Return True if a module uses `pickle` only for unpicklers whose `find_class` imports nothing."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    uses = [node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle"]
    bare = [node for node in nodes if isinstance(node, ast.Name) and node.id == "pickle"]
    plain = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names if alias.name == "pickle"]
    unpicklers = [
        node
        for node in nodes
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "pickle._Unpickler" for base in node.bases)
    ]
    finders = [
        method
        for unpickler in unpicklers
        for method in unpickler.body
        if isinstance(method, ast.FunctionDef) and method.name == "find_class"
    ]
    called = {ast.unparse(node.func) for finder in finders for node in ast.walk(finder) if isinstance(node, ast.Call)}
    return (
        set(uses) <= {"_Unpickler", "UnpicklingError"}
        and len(bare) == len(uses)
        and all(alias.asname is None for alias in plain)
        and not any(isinstance(node, ast.ImportFrom) and node.module == "pickle" for node in nodes)
        and uses.count("_Unpickler") == len(unpicklers) == len(finders) == 1
        and called <= {"PickleError", "pickle.UnpicklingError", "{'__builtin__': 'builtins'}.get"}
    )


SAFE = (
    "import pickle\nclass A(pickle._Unpickler):\n    def find_class(self, module, name):\n"
    "        raise pickle.UnpicklingError(name)\n"
)


def test_a_restricted_unpickler_is_recognized() -> None:
    assert is_restricted(SAFE)


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.loads(text)",
        SAFE + "pickle.loads(text)",
        SAFE + "load = getattr(pickle, 'loads')",
        SAFE + "import pickle as p\np.loads(text)",
        SAFE + "from pickle import loads",
        SAFE + "pickle._Unpickler(file).load()",
        SAFE + "class B(pickle._Unpickler):\n    pass",
        SAFE.replace("raise pickle.UnpicklingError(name)", "return super().find_class(module, name)"),
        SAFE.replace("raise pickle.UnpicklingError(name)", "return getattr(import_module(module), name)"),
        SAFE.replace("find_class", "load_class"),
        SAFE.replace("_Unpickler", "Unpickler"),
    ],
)
def test_other_unpicklers_are_detected(text: str) -> None:
    assert not is_restricted(text)


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
