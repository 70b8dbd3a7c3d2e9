"""Arrays in untrusted pickles, as old data sets publish them: NumPy arrays, SciPy CSR matrices, lists of neighbors.

Nothing that a pickle names is imported or run: the few names that such files contain stand for classes of this module,
which keep the state as plain data; any other name is refused.
"""

import io
import pickle
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

NUMBER_TYPES = ("i1", "u1", "i2", "i4", "i8", "f4", "f8", "b1")


class PickleError(ValueError):
    """A pickle is malformed, or holds something else than arrays."""


class _Record:
    """Stand-in of a pickled object: its arguments and its state."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _DType(_Record):
    pass


class _Array(_Record):
    pass


class _Matrix(_Record):
    pass


class _Lists(_Record):
    """Stand-in of `defaultdict(list)`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.items: dict[Any, Any] = {}

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value


class _Unpickler(pickle._Unpickler):
    """The unpickler written in Python, whose memo is a dictionary: a large index in a file reserves no memory."""

    names: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "dtype"): _DType,
        ("numpy", "ndarray"): _Array,
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("scipy.sparse.csr", "csr_matrix"): _Matrix,
        ("scipy.sparse._csr", "csr_matrix"): _Matrix,
        ("collections", "defaultdict"): _Lists,
        ("builtins", "list"): list,
    }

    def find_class(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins"}.get(module, module)
        if (module, name) not in self.names:
            raise PickleError(f"it names {module}.{name}")
        return self.names[module, name]


def read_pickle(content: bytes) -> Any:
    """Read a pickle of a NumPy array, a CSR matrix, or a dictionary of lists.

    Args:
        content: bytes of the pickle; strings of Python 2 are read as Latin-1.

    Returns:
        An array, a `scipy.sparse.csr_array`, or a dictionary.

    Raises:
        PickleError: it is malformed or holds anything else.
    """
    try:
        return _converted(_Unpickler(io.BytesIO(content), encoding="latin1").load())
    except PickleError:
        raise
    except Exception as error:  # a malformed pickle may raise anything
        raise PickleError(f"{type(error).__name__}: {error}") from error


def _converted(value: Any) -> Any:
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, _Matrix):
        state = value.state
        rows, columns = (int(n) for n in state["_shape"])
        data, indices, indptr = (_array(state[name]) for name in ("data", "indices", "indptr"))
        matrix = sparse.csr_array((data, indices, indptr), shape=(rows, columns))
        matrix.check_format(full_check=True)
        return matrix
    if isinstance(value, _Lists):
        return value.items
    raise PickleError(f"it holds a {type(value).__name__}")


def _array(value: Any) -> NDArray[Any]:
    """Array of a stand-in, whose state is (version, shape, type, is_fortran, bytes)."""
    if not isinstance(value, _Array):
        raise PickleError("an array is missing")
    _, shape, dtype, is_fortran, content = value.state
    if not isinstance(dtype, _DType) or dtype.arguments[0] not in NUMBER_TYPES:
        raise PickleError("an array is not one of numbers")
    byte_order = dtype.state[1] if dtype.state[1] in ("<", ">") else "|"
    raw = content.encode("latin1") if isinstance(content, str) else content
    flat = np.frombuffer(raw, dtype=np.dtype(f"{byte_order}{dtype.arguments[0]}"))
    array: NDArray[Any] = flat.reshape(shape, order="F" if is_fortran else "C")
    return array.astype(array.dtype.newbyteorder("="))
