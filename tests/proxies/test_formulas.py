"""Formulas on measurements small enough to compute by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from proxies.base import MAX_LOG, Measured, Need, NotApplicableError, Proxy, ProxyInfo
from proxies.correlation import correlation
from proxies.epe_nas import EpeNas
from proxies.expressivity import Expressivity
from proxies.fisher import Fisher
from proxies.flops import Flops
from proxies.grad_norm import GradNorm
from proxies.grad_sign import GradSign
from proxies.grasp import Grasp
from proxies.jacov import Jacov
from proxies.l2_norm import L2Norm
from proxies.meco import Meco, smallest_eigenvalue
from proxies.meco_opt import MecoOpt
from proxies.near import Near
from proxies.near_mean import NearMean
from proxies.nwot import Nwot
from proxies.params import Params
from proxies.participation import Participation
from proxies.passes.activation_ranks import ActivationRank, activation_ranks
from proxies.passes.base import WeightGradient
from proxies.passes.gradient_sign import GradientSigns
from proxies.passes.perturbation import PerturbedOutputs
from proxies.passes.random_input import UnitOutput
from proxies.passes.training import OutputGradient
from proxies.plain import Plain
from proxies.progressivity import Progressivity
from proxies.snip import Snip
from proxies.spectrum import effective_rank, squared_singular_values
from proxies.swap import Swap
from proxies.synflow import Synflow
from proxies.trainability import Trainability
from proxies.vkdnw import Vkdnw
from proxies.zen import Zen
from proxies.zico import Zico

LARGE = 1e30
"""Its square overflows float32, and not float64."""
PAIRS = [
    WeightGradient(torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])),
    WeightGradient(torch.tensor([[-0.5]]), torch.tensor([[6.0]])),
]
LARGE_PAIRS = [WeightGradient(torch.tensor([[LARGE, LARGE]]), torch.tensor([[LARGE, -LARGE / 2]]))]
ROWS = torch.tensor([[1.0, 2.0, 4.0], [2.0, 1.0, 0.5], [3.0, 3.0, 7.0], [0.0, 1.0, -1.0]])


def numpy_correlation(rows: Tensor) -> Any:
    return np.atleast_2d(np.corrcoef(rows.flatten(1).double().numpy()))


# Correlation.


def test_correlation_is_pearsons() -> None:
    rows = ROWS.reshape(2, 3, 2)
    matrix = correlation(rows)
    assert (matrix.dtype, matrix.shape) == (torch.float64, (2, 2))
    assert matrix.numpy() == pytest.approx(numpy_correlation(rows))


def test_correlation_has_a_diagonal_of_ones_and_no_entry_beyond_one() -> None:
    rows = torch.tensor([[0.1, 0.3, 0.7]]).expand(3, 3) * torch.tensor([[1.0], [3.0], [-7.0]])
    matrix = correlation(rows)
    assert matrix.diagonal().tolist() == [1, 1, 1]
    assert float(matrix.abs().max()) == 1
    assert matrix[0].tolist() == pytest.approx([1, 1, -1])


def test_rounding_takes_no_correlation_beyond_one() -> None:
    row = torch.tensor([6.0, -5.0])
    assert correlation(torch.stack([row, 2 * row]))[0].tolist() == [1, 1]
    assert correlation(torch.stack([row, -2 * row]))[0].tolist() == [1, -1]


def test_a_row_correlates_with_itself() -> None:
    assert correlation(torch.tensor([[1.0, 2.0]])).tolist() == [[1]]


@pytest.mark.parametrize("row", [[1.0, 1.0], [1.0, 1 + 2**-23], [math.nan, 1.0], [math.inf, 1.0]])
def test_a_constant_or_infinite_row_has_no_correlation(row: list[float]) -> None:
    sentence = "^a row of the input gradient is constant or not finite, so it has no correlation$"
    with pytest.raises(ArithmeticError, match=sentence):
        correlation(torch.tensor([[1.0, 2.0], row]))


def test_a_row_that_hardly_varies_has_a_correlation() -> None:
    assert correlation(torch.tensor([[1.0, 2.0], [1.0, 1 + 1e-5]]))[0].tolist() == [1, 1]


# Formulas over the input gradient.


def test_epe_nas_sums_the_classes() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    inside = abs(np.log(np.abs(numpy_correlation(ROWS[:3])) + 1e-5).sum())
    measured = {Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM: (ROWS, labels)}
    assert EpeNas().compute(measured) == pytest.approx(inside + math.log(1 + 1e-5), rel=1e-12)


@pytest.mark.parametrize("classes", [100, 101])
def test_epe_nas_compares_classes_above_a_hundred(classes: int) -> None:
    rows = torch.randn(2 * classes, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(2 * classes) // 2
    logs = [np.log(np.abs(numpy_correlation(rows[labels == c])) + 1e-5) for c in range(classes)]
    summed = sum(abs(entry.sum()) for entry in logs)
    compared = sum(abs(a.mean() - b.mean()) for a in logs for b in logs) / classes
    measured = {Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM: (rows, labels)}
    assert EpeNas().compute(measured) == pytest.approx(summed if classes == 100 else compared, rel=1e-9)


def test_jacov() -> None:
    shifted = np.linalg.eigvalsh(numpy_correlation(ROWS)) + 1e-5
    expected = -float((np.log(shifted) + 1 / shifted).sum())
    assert Jacov().compute({Need.INPUT_GRADIENT: ROWS}) == pytest.approx(expected, rel=1e-6)


# Formulas over weights and gradients.


@pytest.mark.parametrize(
    ("proxy", "value", "large"),
    [
        (GradNorm(), 5 + 6, math.sqrt(1.25) * LARGE),
        (Plain(), 3 - 8 - 3, 0.5 * LARGE**2),
        (Snip(), 3 + 8 + 3, 1.5 * LARGE**2),
    ],
)
def test_gradients_in_double_precision(proxy: Proxy, value: float, large: float) -> None:
    assert proxy.compute({Need.GRADIENTS: PAIRS}) == pytest.approx(value)
    assert proxy.compute({Need.GRADIENTS: LARGE_PAIRS}) == pytest.approx(large)


def test_l2_norm() -> None:
    weights = [torch.tensor([[3.0, 4.0]]), torch.tensor([[-2.0]])]
    assert L2Norm().compute({Need.WEIGHTS: weights}) == pytest.approx(5 + 2)
    assert L2Norm().compute({Need.WEIGHTS: [torch.full((2, 2), LARGE)]}) == pytest.approx(2 * LARGE)


def test_counts_and_grasp() -> None:
    assert Flops().compute({Need.FLOPS: 12}) == 12
    assert Params().compute({Need.NUM_PARAMETERS: 34}) == 34
    assert Grasp().compute({Need.CURVATURE: 1.5}) == -1.5


def test_grad_sign_is_a_mean_over_all_entries() -> None:
    signs = GradientSigns([torch.tensor([[4.0, -2.0]]), torch.tensor([[0.0]])], num_entries=5)
    assert GradSign().compute({Need.GRADIENT_SIGNS: signs}) == pytest.approx(6 / 5)
    many = GradientSigns([torch.full((4097, 4097), 1.0)], num_entries=1)
    assert GradSign().compute({Need.GRADIENT_SIGNS: many}) == 4097**2


def test_fisher_sums_positions_before_it_squares() -> None:
    output = torch.tensor([[[1.0, 2.0], [3.0, 1.0]], [[0.0, 1.0], [2.0, 2.0]]])  # (rows, channels, positions)
    gradient = torch.tensor([[[2.0, -1.0], [1.0, 1.0]], [[5.0, 4.0], [-1.0, 0.5]]])
    deltas = (0.5 * (0**2 + 4**2) / 2, 0.5 * (4**2 + 1**2) / 2)
    layer = OutputGradient(output, gradient, weights_per_channel=3)
    vector = OutputGradient(torch.tensor([[2.0, 1.0]]), torch.tensor([[3.0, -4.0]]), weights_per_channel=7)
    expected = 3 * sum(deltas) + 7 * 0.5 * (6**2 + 4**2)
    assert Fisher().compute({Need.OUTPUT_GRADIENTS: [layer, vector]}) == pytest.approx(expected)


def test_fisher_squares_in_double_precision() -> None:
    layer = OutputGradient(torch.tensor([[LARGE]]), torch.tensor([[1.0]]), weights_per_channel=1)
    assert Fisher().compute({Need.OUTPUT_GRADIENTS: [layer]}) == pytest.approx(0.5 * LARGE**2)


def test_synflow_is_a_logarithm_of_a_sum() -> None:
    expected = math.log(3 + 8 + 3)
    assert Synflow().compute({Need.SYNFLOW: PAIRS}) == pytest.approx(expected)
    assert Synflow().compute({Need.SYNFLOW: LARGE_PAIRS}) == pytest.approx(math.log(1.5) + 2 * math.log(LARGE))


def test_zico_leaves_out_entries_that_do_not_vary() -> None:
    varying = torch.tensor([[[1.0, -4.0], [2.0, 5.0]], [[3.0, 8.0], [-2.0, 5.0]]])  # (minibatches, *shape)
    constant = torch.ones(2, 3)
    other = torch.tensor([[1.0], [2.0]])
    expected = math.log(2 / 1 + 6 / 2) + math.log(1.5 / 0.5)
    assert Zico().compute({Need.MINIBATCH_GRADIENTS: [varying, constant, other]}) == pytest.approx(expected)


def test_zico_computes_in_double_precision() -> None:
    gradients = torch.tensor([[LARGE], [3 * LARGE]])
    assert Zico().compute({Need.MINIBATCH_GRADIENTS: [gradients]}) == pytest.approx(math.log(2))


def test_zico_without_a_varying_entry_fails() -> None:
    with pytest.raises(ArithmeticError, match=r"^no gradient differs between the minibatches$"):
        Zico().compute({Need.MINIBATCH_GRADIENTS: [torch.ones(2, 3)]})


# Formulas over features and perturbations.


def test_zen_is_a_mean_over_repeats() -> None:
    first = PerturbedOutputs(
        torch.tensor([1.0, 3.0], dtype=torch.float64), [torch.tensor([1.0, 7.0]), torch.tensor([9.0])]
    )
    second = PerturbedOutputs(torch.tensor([5.0], dtype=torch.float64), [torch.tensor([4.0])])
    values = (math.log(2) + 0.5 * math.log(4) + 0.5 * math.log(9), math.log(5) + 0.5 * math.log(4))
    assert Zen().compute({Need.PERTURBATION: [first, second]}) == pytest.approx(sum(values) / 2, rel=1e-9)


def test_zen_averages_variances_in_double_precision() -> None:
    outputs = PerturbedOutputs(torch.tensor([1.0]), [torch.full((9,), 3e38)])
    assert Zen().compute({Need.PERTURBATION: [outputs]}) == pytest.approx(0.5 * math.log(3e38), rel=1e-6)


def test_nwot_counts_agreements() -> None:
    first = torch.tensor([[[1.0, -1.0], [0.0, 2.0]], [[1.0, 1.0], [-3.0, -1.0]]])
    second = torch.tensor([[1.0], [-1.0]])
    kernel = np.array([[4.0 + 1, 2.0 + 0], [2.0 + 0, 4.0 + 1]])
    expected = np.linalg.slogdet(kernel + 1e-6 * np.eye(2))[1]
    assert Nwot().compute({Need.RELU_INPUTS: [first, second]}) == pytest.approx(expected, rel=1e-12)


def test_nwot_regularises_equal_rows() -> None:
    rows = torch.tensor([[1.0, -1.0], [2.0, -2.0]])
    expected = math.log((2 + 1e-6) ** 2 - 4)
    assert Nwot().compute({Need.RELU_INPUTS: [rows]}) == pytest.approx(expected, rel=1e-6)


def test_nwot_needs_one_number_of_rows() -> None:
    with pytest.raises(ArithmeticError, match=r"^not all ReLUs see the same number of rows$"):
        Nwot().compute({Need.RELU_INPUTS: [torch.ones(2, 3), torch.ones(3, 3)]})


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_nwot_needs_a_positive_definite_kernel(sign: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rounding can break this."""
    monkeypatch.setattr(torch.linalg, "slogdet", lambda matrix: (torch.tensor(sign), torch.tensor(0.0)))
    with pytest.raises(ArithmeticError, match=r"^the kernel is not positive definite$"):
        Nwot().compute({Need.RELU_INPUTS: [torch.eye(2)]})


def lowest(features: Tensor) -> float:
    return float(np.linalg.eigvalsh(np.nan_to_num(numpy_correlation(features)))[0])


def test_meco_and_meco_opt() -> None:
    first = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    second = torch.randn(3, 7, generator=torch.Generator().manual_seed(1))
    outputs = [UnitOutput(first, torch.tensor([3, 0])), UnitOutput(second, torch.tensor([2, 0, 1]))]
    assert Meco().compute({Need.UNIT_OUTPUTS: outputs}) == pytest.approx(lowest(first) + lowest(second), rel=1e-9)
    expected = 4 / 2 * lowest(first[[3, 0]]) + lowest(second)
    assert MecoOpt().compute({Need.UNIT_OUTPUTS: outputs}) == pytest.approx(expected, rel=1e-9)


def test_smallest_eigenvalue_in_double_precision() -> None:
    features = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.001]])
    assert smallest_eigenvalue(features) == pytest.approx(lowest(features), rel=1e-6)
    assert smallest_eigenvalue(LARGE * features) == pytest.approx(lowest(features), rel=1e-3)


def test_a_constant_channel_has_correlation_zero() -> None:
    with_constant = torch.tensor([[1.0, 2.0, 4.0], [5.0, 5.0, 5.0]])
    assert smallest_eigenvalue(with_constant) == 0
    assert smallest_eigenvalue(torch.full((1, 3), 2.0)) == 0
    assert smallest_eigenvalue(torch.tensor([[1.0, 2.0]])) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_feature_that_is_not_finite_fails(value: float) -> None:
    with pytest.raises(ArithmeticError, match=r"^a unit's output is not finite$"):
        smallest_eigenvalue(torch.tensor([[1.0, 2.0], [value, 0.0]]))


# Formulas over spectra.


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_an_isotropic_output_takes_all_channels() -> None:
    spectra = [torch.full((6,), 0.3, dtype=torch.float64), torch.full((24,), 7.0, dtype=torch.float64)]
    assert Participation().compute({Need.UNIT_SPECTRA: spectra[:1]}) == pytest.approx(math.log(6))
    assert Participation().compute({Need.UNIT_SPECTRA: spectra}) == pytest.approx(math.log(6 * 24) / 2)
    assert Expressivity().compute({Need.UNIT_SPECTRA: spectra}) == pytest.approx(math.log(6 * 24), rel=1e-6)
    assert Progressivity().compute({Need.UNIT_SPECTRA: spectra}) == pytest.approx(math.log(24 / 6), rel=1e-6)


def test_one_channel_that_varies_has_no_entropy() -> None:
    measured = {Need.UNIT_SPECTRA: [double(0, 0, 5)]}
    assert Participation().compute(measured) == 0
    assert Expressivity().compute(measured) == pytest.approx(-1e-8)


def test_spectra_are_shares_of_the_variance() -> None:
    measured = {Need.UNIT_SPECTRA: [double(1, 3), double(1, 1, 2), double(5, 5)]}
    entropies = [-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), 1.5 * math.log(2), math.log(2)]
    assert Expressivity().compute(measured) == pytest.approx(sum(entropies), rel=1e-6)
    assert Progressivity().compute(measured) == pytest.approx(entropies[2] - entropies[1], rel=1e-6)
    ratios = (16 / 10, 16 / 6, 2)
    assert Participation().compute(measured) == pytest.approx(sum(map(math.log, ratios)) / 3)


@pytest.mark.parametrize("proxy", [Expressivity(), Progressivity(), Participation()])
def test_a_constant_unit_has_no_spectrum(proxy: Proxy) -> None:
    with pytest.raises(
        NotApplicableError, match=r"^the output of a unit is constant, so that its channels have no var"
    ):
        proxy.compute({Need.UNIT_SPECTRA: [double(1, 2), double(0, 0)]})


def test_one_unit_gains_nothing() -> None:
    with pytest.raises(NotApplicableError, match=r"^the network has one unit, and so no gain from one to the next$"):
        Progressivity().compute({Need.UNIT_SPECTRA: [double(1, 2)]})


def test_trainability_is_largest_for_an_isometry() -> None:
    isometry, scaled = torch.eye(3)[:, :2], torch.tensor([[0.0, 4.0], [0.0, 0.0], [3.0, 0.0]])
    assert Trainability().compute({Need.UNIT_JACOBIANS: [isometry]}) == pytest.approx(0, abs=2e-6)
    expected = (2 - 4 - 1 / (4 + 1e-6) + 2 - 1 - 1 / (1 + 1e-6)) / 2
    assert Trainability().compute({Need.UNIT_JACOBIANS: [scaled, isometry]}) == pytest.approx(expected, rel=1e-9)


def test_squared_singular_values() -> None:
    matrix = torch.tensor([[3.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    assert squared_singular_values(matrix).tolist() == pytest.approx([0, 4, 25])
    assert squared_singular_values(matrix[:2]).tolist() == pytest.approx([0, 25])
    assert squared_singular_values(LARGE * matrix).tolist() == pytest.approx([0, 4 * LARGE**2, 25 * LARGE**2])


def test_rounding_is_no_singular_value() -> None:
    rows = torch.tensor([[0.1, 0.3, 0.7]]) * torch.tensor([[1.0], [3.0], [-7.0]])
    assert squared_singular_values(rows)[:2].tolist() == [0, 0]
    assert squared_singular_values(torch.diag(double(1, 1e-3))).tolist() == pytest.approx([1e-6, 1])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_has_no_spectrum(value: float) -> None:
    with pytest.raises(ArithmeticError, match=r"^a number inside the network is not finite$"):
        squared_singular_values(torch.tensor([[1.0, value]]))


def test_effective_rank() -> None:
    assert effective_rank(2 * torch.eye(5)) == pytest.approx(5)
    assert effective_rank(torch.ones(5, 3)) == pytest.approx(1)
    assert effective_rank(torch.diag(double(1, 3))) == pytest.approx(4 / 3**0.75)
    assert effective_rank(torch.zeros(2, 3)) == 0


def test_ranks_are_of_inputs_and_outputs_of_relus() -> None:
    vectors, maps = torch.tensor([[1.0, 0.0], [0.0, -1.0]]), torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    assert activation_ranks([vectors]) == [pytest.approx((2.0, 2)), pytest.approx((1.0, 2))]
    assert activation_ranks([maps])[0] == pytest.approx((effective_rank(torch.diag(double(1, 2))), 2))
    assert activation_ranks([torch.tensor([1.0, 2.0])]) == [pytest.approx((1.0, 1))] * 2


def test_of_more_places_than_channels_as_many_are_sampled() -> None:
    places = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    sampled = places[torch.randperm(9, generator=torch.Generator().manual_seed(0))[:4]]
    assert activation_ranks([places])[0] == ActivationRank(effective_rank(sampled), 4)


def test_near_and_near_mean() -> None:
    measured = {Need.ACTIVATION_RANKS: [ActivationRank(3.0, 4), ActivationRank(1.5, 4), ActivationRank(6.0, 8)]}
    assert Near().compute(measured) == 10.5
    assert NearMean().compute(measured) == pytest.approx((0.75 + 0.375 + 0.75) / 3)


def test_vkdnw_is_an_entropy_of_deciles() -> None:
    vectors = torch.diag(double(1, 2, 3))
    deciles = np.quantile([1.0, 4.0, 9.0], np.arange(1, 10) / 10)
    shares = deciles / deciles.sum()
    assert Vkdnw().compute({Need.FISHER_VECTORS: vectors}) == pytest.approx(-float((shares * np.log(shares)).sum()))
    assert Vkdnw().compute({Need.FISHER_VECTORS: torch.eye(4)}) == pytest.approx(math.log(9))


def test_vkdnw_needs_more_than_one_direction() -> None:
    with pytest.raises(ArithmeticError, match=r"^nine of ten eigenvalues of the Fisher information are 0$"):
        Vkdnw().compute({Need.FISHER_VECTORS: torch.ones(16, 20)})


def test_swap_counts_distinct_patterns() -> None:
    first = torch.tensor([[[1.0, -1.0], [0.0, 2.0]], [[1.0, 1.0], [-3.0, -1.0]]])  # patterns 11, 01, 00, 10
    second = torch.tensor([[3.0, -3.0, 1.0], [2.0, 5.0, -1.0]])  # 11, 01, 10
    assert Swap().compute({Need.ACTIVATION_PATTERNS: [first, second]}) == 4
    assert Swap().compute({Need.ACTIVATION_PATTERNS: [second[:, :2]]}) == 2


@pytest.mark.parametrize("rows", [7, 63, 64, 65, 130])
def test_swap_of_any_number_of_rows(rows: int) -> None:
    """Patterns that differ in one row alone are distinct."""
    patterns = torch.cat([torch.eye(rows), torch.eye(rows), torch.zeros(rows, 1)], 1)
    assert Swap().compute({Need.ACTIVATION_PATTERNS: [patterns]}) == rows + 1


def test_swap_needs_one_number_of_rows() -> None:
    with pytest.raises(ArithmeticError, match=r"^not all ReLUs see the same number of rows$"):
        Swap().compute({Need.ACTIVATION_PATTERNS: [torch.ones(2, 3), torch.ones(3, 3)]})


# Score of any proxy.


class Constant(Proxy):
    info = ProxyInfo(
        name="constant",
        needs=frozenset({Need.FLOPS, Need.TOPOLOGY}),
        batch_norm=None,
        direction=1,
        cost=0.0,
        source="-",
    )

    def compute(self, measured: Measured) -> float:
        return float(measured[Need.FLOPS])


class ConstantLog(Constant):
    info = ProxyInfo(**{**vars(Constant.info), "log_feature": True})


def measured(number: float) -> Measured:
    return {Need.FLOPS: number, Need.TOPOLOGY: ()}


def test_a_score_has_a_logarithm_where_the_formula_gives_one() -> None:
    assert Constant().score(measured(2.5)) == (2.5, None)
    assert ConstantLog().score(measured(2.5)) == (math.exp(2.5), 2.5)


def test_a_value_that_overflows_is_left_out() -> None:
    below = math.nextafter(MAX_LOG, 0)
    assert ConstantLog().score(measured(below)) == (math.exp(below), below)
    assert ConstantLog().score(measured(MAX_LOG)) == (None, MAX_LOG)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_fails(number: float) -> None:
    with pytest.raises(ArithmeticError, match=f"^the score is {number}$"):
        Constant().score(measured(number))
    with pytest.raises(ArithmeticError, match=f"^the logarithm of the score is {number}$"):
        ConstantLog().score(measured(number))


def test_an_empty_measurement_fails() -> None:
    sentence = "^the network has no convolution, linear layer or matrix product$"
    with pytest.raises(ArithmeticError, match=sentence):
        Constant().score(measured(0))
