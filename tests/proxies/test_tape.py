"""The tape against PyTorch's own autograd, for every kind of layer it knows."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from proxies.passes.tape import Tape, gather_by_weight

CONVOLUTIONS = [
    nn.Conv2d(4, 6, (1, 1)),
    nn.Conv2d(4, 6, (9, 1), stride=(2, 1), padding=(4, 0)),
    nn.Conv2d(4, 6, (9, 1), stride=(3, 1), padding=(2, 0), bias=False),
    nn.Conv2d(4, 6, (3, 1), padding=(2, 0), dilation=(2, 1)),
    nn.Conv2d(4, 6, 3, groups=2, padding=1),
    nn.Conv2d(4, 6, 3, padding="same", dilation=2),
    nn.Conv2d(4, 6, 2, padding="valid"),
    nn.Conv2d(4, 6, 1, stride=2),
    nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
]
PRECISIONS = {torch.float32: {"rtol": 1e-4, "atol": 1e-4}, torch.float64: {"rtol": 1e-9, "atol": 1e-9}}


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("layer", [*CONVOLUTIONS, nn.Linear(7, 5)], ids=str)
def test_outputs_and_gradients_are_those_of_autograd(layer: Any, dtype: torch.dtype) -> None:
    layer, x = layer.to(dtype), torch.randn(6, 4, 12, 7, dtype=dtype, requires_grad=True)
    expected = layer(x)
    direction = torch.randn_like(expected)
    with Tape() as tape:
        made = layer(x)
    torch.testing.assert_close(made, expected, **PRECISIONS[dtype])
    loss, plain = ((out * direction).sum() for out in (made, expected))
    (ours_by_x,) = torch.autograd.grad(loss, x, retain_graph=True)
    (passed,) = tape.differentiate(loss)
    (ours,) = gather_by_weight([layer.weight], [passed.call.weight], [passed.call.weight_gradient(passed.grad_output)])
    by_x, expected_gradient = torch.autograd.grad(plain, [x, layer.weight])
    torch.testing.assert_close(ours_by_x, by_x, **PRECISIONS[dtype])
    torch.testing.assert_close(ours.gradient, expected_gradient, **PRECISIONS[dtype])
    for n in range(3):  # three samples of two rows
        rows = slice(2 * n, 2 * n + 2)
        own = torch.autograd.grad(layer(x[rows]), layer.weight, direction[rows])[0]
        torch.testing.assert_close(passed.call.weight_gradient(passed.grad_output, rows), own, **PRECISIONS[dtype])


@pytest.mark.parametrize("module", [*CONVOLUTIONS, nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)], ids=str)
def test_second_derivatives_by_the_input(module: nn.Module) -> None:
    module, x = module.double().requires_grad_(False), torch.randn(3, 4, 6, 5, dtype=torch.float64, requires_grad=True)

    def supports_tape(x: Tensor) -> Tensor:
        with Tape():
            made: Tensor = module(x)
        return made

    assert torch.autograd.gradcheck(supports_tape, x)
    assert torch.autograd.gradgradcheck(supports_tape, x)


def test_weights_side_by_side_are_told_apart() -> None:
    convs = nn.ModuleList(nn.Conv2d(3, 2, 1) for _ in range(3))
    x = torch.randn(2, 3, 5, 4)
    weight = torch.cat([conv.weight for conv in convs])
    with Tape() as tape:
        made = functional.conv2d(x.requires_grad_(), torch.cat([conv.weight for conv in convs]))
    expected = torch.autograd.grad(
        functional.conv2d(x, weight).square().sum(), list(convs.parameters()), allow_unused=True
    )
    passed = tape.differentiate(made.square().sum())
    weights: list[Any] = [conv.weight for conv in convs]
    ours = gather_by_weight(
        weights,
        [call.weight for call, _, _ in passed],
        [call.weight_gradient(grad_output) for call, grad_output, _ in passed],
    )
    assert [one.weight.data_ptr() for one in ours] == [conv.weight.data_ptr() for conv in convs]
    for one, gradient in zip(ours, expected[::2], strict=True):
        torch.testing.assert_close(one.gradient, gradient)


def test_relus_are_seen_as_modules_and_as_functions() -> None:
    x = torch.randn(4, 3)
    with Tape() as tape:
        functional.relu(torch.relu(nn.ReLU()(x) - 1) - 1)
    assert len(tape.relu_inputs) == 3
    assert torch.equal(tape.relu_inputs[0], x)


def test_padding_that_differs_from_side_to_side_is_refused() -> None:
    with Tape(), pytest.raises(NotImplementedError, match="same"):
        nn.Conv2d(3, 2, 2, padding="same")(torch.randn(1, 3, 4, 4))
