"""Gradients of single rows of one graph's data."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.graph import Node

if TYPE_CHECKING:
    from proxies.passes.tape import TapedCall


def row_gradients(logits: Tensor, x: Tensor, rows: Sequence[int], calls: Sequence["TapedCall"]) -> Tensor:
    """Return ∂(Σ_c logits_ic)/∂x_i of each row i, with the autograd graph retained.

    Where nothing but linear layers reads the data, the gradient is taken with respect to their outputs, and passed to
    the one row of x: the gradients of its other rows, most of the work, are not needed.

    Args:
        logits: output of the network, (rows, outputs).
        x: the data, a leaf.
        rows: rows of output and data.
        calls: calls of layers that a tape has recorded; none for the definition.
    """
    readers = _linear_readers(logits, x, calls)
    if not readers:
        return torch.stack([torch.autograd.grad(logits[row].sum(), x, retain_graph=True)[0][row] for row in rows])
    zs = [call.z for call in readers]
    gradients = []
    for row in rows:
        by_call = torch.autograd.grad(logits[row].sum(), zs, retain_graph=True, materialize_grads=True)
        parts = [z[row] @ call.weight.detach() for z, call in zip(by_call, readers, strict=True)]
        gradients.append(torch.stack(parts).sum(0))
    return torch.stack(gradients)


def depends_on(output: Tensor, x: Tensor) -> bool:
    """Return True if the autograd graph of an output leads to the leaf x."""
    return any(getattr(node, "variable", None) is x for node, _ in _edges(output.grad_fn))


def _linear_readers(logits: Tensor, x: Tensor, calls: Sequence["TapedCall"]) -> list["TapedCall"]:
    """Return the linear layers that take the data, a matrix; none if anything else reads it."""
    inputs = {call.x.grad_fn: call for call in calls if call.x.ndim == 2 and call.is_linear}
    copies, readers = set(), []
    for node, successors in _edges(logits.grad_fn):
        if any(getattr(successor, "variable", None) is x for successor in successors):
            if node.name() != "CloneBackward0":  # a network gets copies of its arguments
                return []
            copies.add(node)
    for node, successors in _edges(logits.grad_fn):
        if copies.intersection(successors):
            if node not in inputs:
                return []
            readers.append(inputs[node])
    return readers


def _edges(root: Node | None) -> Iterator[tuple[Node, list[Node]]]:
    """Yield each node of an autograd graph with the nodes that its gradients go to."""
    seen, stack = {root}, [] if root is None else [root]
    while stack:
        node = stack.pop()
        successors = [successor for successor, _ in node.next_functions if successor is not None]
        yield node, successors
        new = set(successors) - seen
        seen |= new
        stack.extend(new)
