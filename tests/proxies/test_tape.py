"""The tape against PyTorch's autograd, for every kind of layer that it records."""

from copy import deepcopy
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
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("layer", [*CONVOLUTIONS, nn.Linear(7, 5)], ids=str)
def test_outputs_and_gradients_are_those_of_autograd(layer: Any, dtype: torch.dtype) -> None:
    layer, x = deepcopy(layer).to(dtype), torch.randn(6, 4, 12, 7, dtype=dtype, requires_grad=True)
    tolerance = TOLERANCES[dtype]
    expected = layer(x)
    direction = torch.randn_like(expected)
    with Tape() as tape:
        output = layer(x)
    torch.testing.assert_close(output, expected, rtol=tolerance, atol=tolerance)
    loss, plain = ((out * direction).sum() for out in (output, expected))
    (ours_by_x,) = torch.autograd.grad(loss, x, retain_graph=True)
    (record,) = tape.differentiate(loss)
    (ours,) = gather_by_weight([layer.weight], [record.call.weight], [record.call.weight_gradient(record.grad_output)])
    by_x, expected_gradient = torch.autograd.grad(plain, [x, layer.weight])
    torch.testing.assert_close(ours_by_x, by_x, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(ours.gradient, expected_gradient, rtol=tolerance, atol=tolerance)
    for n in range(3):  # three samples of two rows
        rows = slice(2 * n, 2 * n + 2)
        sample_gradient = torch.autograd.grad(layer(x[rows]), layer.weight, direction[rows])[0]
        torch.testing.assert_close(
            record.call.weight_gradient(record.grad_output, rows), sample_gradient, rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("module", [*CONVOLUTIONS, nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)], ids=str)
def test_second_derivatives_by_the_input(module: nn.Module) -> None:
    module, x = (
        deepcopy(module).double().requires_grad_(False),
        torch.randn(3, 4, 6, 5, dtype=torch.float64, requires_grad=True),
    )

    def run(x: Tensor) -> Tensor:
        with Tape():
            output: Tensor = module(x)
        return output

    assert torch.autograd.gradcheck(run, x)
    assert torch.autograd.gradgradcheck(run, x)


def test_concatenated_weights_are_separated() -> None:
    convs = [nn.Conv2d(3, 2, 1) for _ in range(3)]
    x = torch.randn(2, 3, 5, 4)
    weight = torch.cat([conv.weight for conv in convs])
    with Tape() as tape:
        output = functional.conv2d(x.requires_grad_(), torch.cat([conv.weight for conv in convs]))
    parameters = [parameter for conv in convs for parameter in conv.parameters()]
    expected = torch.autograd.grad(
        functional.conv2d(x, weight).square().sum(),
        parameters,
        allow_unused=True,
    )
    records = tape.differentiate(output.square().sum())
    weights = [conv.weight for conv in convs]
    ours = gather_by_weight(
        weights,
        [call.weight for call, _, _ in records],
        [call.weight_gradient(grad_output) for call, grad_output, _ in records],
    )
    assert [pair.weight.data_ptr() for pair in ours] == [conv.weight.data_ptr() for conv in convs]
    for pair, gradient in zip(ours, expected[::2], strict=True):
        torch.testing.assert_close(pair.gradient, gradient)


def test_relus_are_seen_as_modules_and_as_functions() -> None:
    x = torch.randn(4, 3)
    with Tape() as tape:
        functional.relu(torch.relu(nn.ReLU()(x) - 1) - 1)
    assert len(tape.relu_inputs) == 3
    assert torch.equal(tape.relu_inputs[0], x)


def test_padding_that_differs_from_side_to_side_is_refused() -> None:
    with Tape(), pytest.raises(NotImplementedError, match="same"):
        nn.Conv2d(3, 2, 2, padding="same")(torch.randn(1, 3, 4, 4))
