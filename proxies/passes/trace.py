"""Trace of one forward pass: an identity of the network's structure, and the parameters that products use."""

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
"""Names of convolutions, linear maps, matrix products and embeddings in PyTorch's dispatcher."""
COPIES = frozenset({"clone", "_to_copy", "contiguous", "_reshape_copy", "copy", "view_copy", "permute_copy", "t_copy"})
"""Operations that give the same numbers in another order or precision. Views are recognised by their memory."""
BATCH_NORMS = frozenset(
    {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"}
    | {"miopen_batch_norm", "_batch_norm_with_update", "batch_norm_with_update"}
)
Sources = frozenset[str] | None
"""Names of the parameters that a tensor was computed from; None if it depends on the batch."""


@dataclass(frozen=True)
class ForwardTrace:
    """Operations of one forward pass.

    Attributes:
        key: equal for two networks that call the same functions, run the same operations on the same shapes and
            propagate gradients in the same way.
        operations_hash: like the key, without shapes and numbers.
        reads_numbers: True if the operations, or their shapes, may depend on the numbers in a tensor.
        used_parameters: names of the parameters that a convolution, linear map, matrix product or embedding uses: as
            they are, in another order, or, for a convolution and a linear map, as inputs of its weight.
        hidden_batch_norm: True if a batch norm runs that is no call of `torch.nn.functional.batch_norm`.
    """

    key: str
    operations_hash: str
    reads_numbers: bool
    used_parameters: frozenset[str]
    hidden_batch_norm: bool


def trace_forward(network: nn.Module, inputs: Sequence[Tensor]) -> ForwardTrace:
    """Run the network once on copies of its arguments, the data first. Raises the network's errors."""
    x = inputs[0].detach().requires_grad_()
    tracer = _Tracer(network, (x, *inputs[1:]))
    with tracer, _Functions(tracer):
        output = network(*(tensor.clone() for tensor in (x, *inputs[1:])))
    names = {parameter: name for name, parameter in network.named_parameters()}
    for text in _graph([leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)], names | {x: "x"}):
        tracer.step(text)
    return tracer.result()


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that hashes operations and follows parameters through them."""

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: list[Any] = []  # so that no tensor reuses the memory, and so the name, of an earlier one
        self._ids: dict[int, int] = {}
        self._parameter_at: dict[int, str] = {}
        self._sources: dict[int, Sources] = {_memory(tensor): None for tensor in inputs}
        self._used: set[str] = set()
        self._key_hash, self._operations_hash, self._reads_numbers = hashlib.sha256(), hashlib.sha256(), False
        self.known_batch_norm, self._hidden_batch_norm = False, False
        for name, parameter in network.named_parameters():
            self._parameter_at[_memory(parameter)] = name
            self._sources[_memory(parameter)] = frozenset({name})
        for tensor in (*inputs, *network.parameters(), *network.buffers()):
            self._name(tensor)

    def result(self) -> ForwardTrace:
        digests = self._key_hash.hexdigest(), self._operations_hash.hexdigest()
        return ForwardTrace(*digests, self._reads_numbers, frozenset(self._used), self._hidden_batch_norm)

    def step(self, text: str, details: Any = "") -> None:
        self._operations_hash.update(f"{text}\n".encode())
        self._key_hash.update(f"{text} {details}\n".encode())

    def weight_operand(self, weight: Tensor) -> None:
        """Count the parameters that the weight of a convolution or linear map was computed from."""
        self._used |= self._sources.get(_memory(weight), frozenset()) or frozenset()

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        name = func._schema.name.partition("::")[2]
        if name in PRODUCTS:
            factors = tree_leaves(args[slice(*_factors(name))])
            self._used |= {
                self._parameter_at[_memory(t)]
                for t in factors
                if isinstance(t, Tensor) and _memory(t) in self._parameter_at
            }
            if name == "convolution":
                self.weight_operand(args[1])
        if name in BATCH_NORMS and not self.known_batch_norm:
            self._hidden_batch_norm = True
        self._reads_numbers |= _reads_numbers(func, inputs)
        operands, tensors = (
            [self._operand(leaf) for leaf in tree_leaves((args, kwargs))],
            [self._name(t) for t in inputs],
        )
        output = func(*args, **kwargs)
        results = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        for result in results:
            self._derive(name, inputs, result)
        outputs = [(self._name(t), t.dtype, tuple(t.shape)) for t in results]
        self.step(f"{func}({tensors})->{[name for name, *_ in outputs]}", (operands, outputs))
        self._alive.append((inputs, results))
        return output

    def _derive(self, name: str, inputs: list[Tensor], result: Tensor) -> None:
        """Note the parameters that a result of an operation was computed from."""
        memory = _memory(result)
        sources = [self._sources.get(_memory(t), frozenset()) for t in inputs]
        parameters: Sources = frozenset().union(*(s for s in sources if s is not None))
        if memory not in {_memory(t) for t in inputs}:  # no view
            self._sources[memory] = None if None in sources else parameters
            if name in COPIES and inputs and _memory(inputs[0]) in self._parameter_at:
                self._parameter_at[memory] = self._parameter_at[_memory(inputs[0])]
        elif None in sources:  # written to
            self._sources[memory] = None
            if sources[0] is not None:
                self._parameter_at.pop(memory, None)

    def _operand(self, leaf: Any) -> str:
        return str(self._name(leaf)) if isinstance(leaf, Tensor) else repr(leaf)

    def _name(self, tensor: Tensor) -> str:
        if id(tensor) not in self._ids:
            self._ids[id(tensor)] = len(self._ids)
            self._alive.append(tensor)
        return f"%{self._ids[id(tensor)]}"


class _Functions(FunctionMode):
    """Mode for calls that the dispatcher does not distinguish: weights of linear maps, batch norm in instance norm."""

    def __init__(self, tracer: _Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__qualname__", repr(func))
        if not name.endswith("__get__"):  # reads a shape, a device, …
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


def _reads_numbers(func: Any, inputs: Sequence[Tensor]) -> bool:
    """Return True if an operation hands numbers to Python, or its output's shape depends on them."""
    if func._schema.name == "aten::index":
        return any(index.dtype in (torch.bool, torch.uint8) for index in inputs[1:])
    return bool({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags))


_function_numbers: WeakKeyDictionary[type, int] = WeakKeyDictionary()
_next_number = count()


def _graph(outputs: Sequence[Tensor], names: Mapping[Tensor, str]) -> Iterator[str]:
    """Yield a line for each node of the autograd graph of the outputs: its number, its kind and its successors."""
    nodes: dict[Any, int] = {}
    queue = [tensor.grad_fn for tensor in outputs]
    yield str([None if node is None else nodes.setdefault(node, len(nodes)) for node in queue])
    for node in queue:  # grows meanwhile
        if node is None:
            continue
        successors = [successor for successor, _ in node.next_functions]
        queue += [successor for successor in successors if successor is not None and successor not in nodes]
        numbers = [
            (None if successor is None else nodes.setdefault(successor, len(nodes)), index)
            for successor, index in node.next_functions
        ]
        function = _function_numbers.setdefault(type(node), next(_next_number)) if hasattr(node, "_forward_cls") else ""
        variable = getattr(node, "variable", None)
        yield f"{nodes[node]} {node.name()}{function} {'' if variable is None else names.get(variable)} {numbers}"


def _factors(name: str) -> tuple[int, int | None]:
    """Return the range of a product's arguments that are multiplied; the others, an addend or a mask, are added."""
    if name in ("addmm", "baddbmm", "addbmm", "addmv"):
        return 1, 3
    return 0, 3 if "attention" in name else None


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
