import pickle
import sys

import pytest

from common.errors import ArchrankError
from common.extras import MissingExtraError, require_extra


def test_installed_modules_pass() -> None:
    require_extra("report", "json", "numpy")
    require_extra("report")


def test_a_missing_module_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    for module in ("numpy", "archrank_no_such_module"):
        with pytest.raises(MissingExtraError) as caught:
            require_extra("report", "json", module)
        assert str(caught.value) == f"{module} is not installed: pip install 'archrank[report]'"
        assert isinstance(caught.value, ArchrankError)
        assert isinstance(caught.value, ImportError)


def test_the_error_survives_another_process() -> None:
    error = pickle.loads(pickle.dumps(MissingExtraError("matplotlib is not installed")))
    assert (type(error), str(error)) == (MissingExtraError, "matplotlib is not installed")
