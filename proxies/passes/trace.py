"""The operations of one forward pass: the identity of a network's structure, and which parameters its products use."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from proxies.passes import functions
from proxies.passes.functions import LINEAR, Function, FunctionMode, argument

PRODUCTS = frozenset(
    {"convolution", "mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot", "_trilinear", "embedding"}
    | {"_embedding_bag", "_embedding_bag_forward_only", "mkldnn_rnn_layer", "_cudnn_rnn", "_sparse_mm", "linear"}
    | {"_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"}
    | {"_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"}
)
"""Convolutions, linear maps, matrix products and embeddings, as PyTorch's dispatcher names them."""
COPIES = frozenset({"clone", "_to_copy", "contiguous", "_reshape_copy", "copy", "view_copy", "permute_copy", "t_copy"})
"""Operations that give the same numbers in another order or precision. Views are known by their memory."""
BATCH_NORMS = frozenset(
    {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"}
    | {"miopen_batch_norm", "_batch_norm_with_update", "batch_norm_with_update"}
)
Sources = frozenset[str] | None
"""Names of the parameters that a tensor was made of alone; None where the batch went into it."""


@dataclass(frozen=True)
class Structure:
    """The operations of one forward pass.

    Attributes:
        key: equal for two networks that call the same functions, run the same operations on the same shapes and pass
            gradients on in the same way.
        outline: like the key, without shapes and numbers.
        reads_numbers: whether what runs, or how much of it, may depend on the numbers in a tensor.
        used: names of the parameters that a convolution, linear map, matrix product or embedding uses: as they are, in
            another order, or, for a convolution and a linear map, as what its weight is computed from.
        hidden_batch_norm: whether a batch norm runs that is no call of `torch.nn.functional.batch_norm`.
    """

    key: str
    outline: str
    reads_numbers: bool
    used: frozenset[str]
    hidden_batch_norm: bool


def trace(network: nn.Module, x: Tensor) -> Structure:
    """Run the network once on a copy of x. Raises whatever it raises."""
    x = x.detach().requires_grad_()
    tracer = _Tracer(network, x)
    with tracer, _Functions(tracer):
        made = network(x.clone())
    names = {parameter: name for name, parameter in network.named_parameters()}
    for text in _graph([leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)], names | {x: "x"}):
        tracer.step(text)
    return tracer.structure()


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, network: nn.Module, x: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kept: list[Any] = []  # so that no tensor gets the memory, and so the name, of an earlier one
        self._numbers: dict[int, int] = {}
        self._same: dict[int, str] = {}
        self._sources: dict[int, Sources] = {_memory(x): None}
        self._used: set[str] = set()
        self._steps, self._outline, self._reads_numbers = hashlib.sha256(), hashlib.sha256(), False
        self.known_batch_norm, self._hidden_batch_norm = False, False
        for name, parameter in network.named_parameters():
            self._same[_memory(parameter)] = name
            self._sources[_memory(parameter)] = frozenset({name})
        for tensor in (x, *network.parameters(), *network.buffers()):
            self._name(tensor)

    def structure(self) -> Structure:
        digests = self._steps.hexdigest(), self._outline.hexdigest()
        return Structure(*digests, self._reads_numbers, frozenset(self._used), self._hidden_batch_norm)

    def step(self, text: str, details: Any = "") -> None:
        self._outline.update(f"{text}\n".encode())
        self._steps.update(f"{text} {details}\n".encode())

    def weight_operand(self, weight: Tensor) -> None:
        """Count what the weight of a convolution or linear map was computed from."""
        self._used |= self._sources.get(_memory(weight), frozenset()) or frozenset()

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        name = func._schema.name.partition("::")[2]
        if name in PRODUCTS:
            factors = tree_leaves(args[slice(*_factors(name))])
            self._used |= {
                self._same[_memory(t)] for t in factors if isinstance(t, Tensor) and _memory(t) in self._same
            }
            if name == "convolution":
                self.weight_operand(args[1])
        if name in BATCH_NORMS and not self.known_batch_norm:
            self._hidden_batch_norm = True
        self._reads_numbers |= _reads_numbers(func, given)
        operands, tensors = (
            [self._operand(leaf) for leaf in tree_leaves((args, kwargs))],
            [self._name(t) for t in given],
        )
        made = func(*args, **kwargs)
        results = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        for result in results:
            self._derive(name, given, result)
        outputs = [(self._name(t), t.dtype, tuple(t.shape)) for t in results]
        self.step(f"{func}({tensors})->{[name for name, *_ in outputs]}", (operands, outputs))
        self._kept.append((given, results))
        return made

    def _derive(self, name: str, given: list[Tensor], result: Tensor) -> None:
        memory = _memory(result)
        sources = [self._sources.get(_memory(t), frozenset()) for t in given]
        whole: Sources = frozenset().union(*(s for s in sources if s is not None))
        if memory not in {_memory(t) for t in given}:  # no view
            self._sources[memory] = None if None in sources else whole
            if name in COPIES and given and _memory(given[0]) in self._same:
                self._same[memory] = self._same[_memory(given[0])]
        elif None in sources:  # written to
            self._sources[memory] = None
            if sources[0] is not None:
                self._same.pop(memory, None)

    def _operand(self, leaf: Any) -> str:
        return str(self._name(leaf)) if isinstance(leaf, Tensor) else repr(leaf)

    def _name(self, tensor: Tensor) -> str:
        if id(tensor) not in self._numbers:
            self._numbers[id(tensor)] = len(self._numbers)
            self._kept.append(tensor)
        return f"%{self._numbers[id(tensor)]}"


class _Functions(FunctionMode):
    """Calls that PyTorch's dispatcher does not tell apart: a linear map's weight, and batch norm in instance norm."""

    def __init__(self, tracer: _Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__qualname__", repr(func))
        if not name.endswith("__get__"):  # looks at a shape, a device, …
            self._tracer.step(name)
        if func in LINEAR:
            self._tracer.weight_operand(argument("weight", 1, args, kwargs))
        if func in (*functions.BATCH_NORMS, functional.instance_norm, torch.instance_norm):
            with self._known_batch_norm():
                return func(*args, **kwargs)
        return func(*args, **kwargs)

    @contextmanager
    def _known_batch_norm(self) -> Any:
        self._tracer.known_batch_norm = True
        try:
            yield
        finally:
            self._tracer.known_batch_norm = False


def _reads_numbers(func: Any, given: Sequence[Tensor]) -> bool:
    """True if an operation hands numbers to Python, or makes a tensor whose shape depends on them."""
    if func._schema.name == "aten::index":
        return any(index.dtype in (torch.bool, torch.uint8) for index in given[1:])
    return bool({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags))


_function_numbers: WeakKeyDictionary[type, int] = WeakKeyDictionary()
_next_number = count()


def _graph(outputs: Sequence[Tensor], names: Mapping[Tensor, str]) -> Iterator[str]:
    """Autograd's way back from the outputs: each node with its number, its kind and the nodes that it passes on to."""
    nodes: dict[Any, int] = {}
    queue = [tensor.grad_fn for tensor in outputs]
    yield str([None if node is None else nodes.setdefault(node, len(nodes)) for node in queue])
    for node in queue:  # which grows
        if node is None:
            continue
        following = [one for one, _ in node.next_functions]
        queue += [one for one in following if one is not None and one not in nodes]
        numbers = [(None if one is None else nodes.setdefault(one, len(nodes)), i) for one, i in node.next_functions]
        own = _function_numbers.setdefault(type(node), next(_next_number)) if hasattr(node, "_forward_cls") else ""
        variable = getattr(node, "variable", None)
        yield f"{nodes[node]} {node.name()}{own} {'' if variable is None else names.get(variable)} {numbers}"


def _factors(name: str) -> tuple[int, int | None]:
    """The range of a product's arguments that it multiplies; the others, an addend or a mask, are added."""
    if name in ("addmm", "baddbmm", "addbmm", "addmv"):
        return 1, 3
    return 0, 3 if "attention" in name else None


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
