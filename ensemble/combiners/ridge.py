"""Ridge regression on standardized columns."""

from typing import Self

import numpy as np
from sklearn.linear_model import RidgeCV

from ensemble.combiners.base import Array, Combiner, Standardizer
from ensemble.rowwise import row_sums

ALPHAS = np.logspace(-1, 5, 25)


class Ridge(Combiner):
    """Ridge regression whose penalty minimizes the exact leave-one-out error, fitted by scikit-learn.

    Attributes:
        mean_, scale_: (d,), standardization of the columns.
        coef_, intercept_: coefficients of the standardized columns, (d,), and mean accuracy of the training rows.
        alpha_: the chosen penalty.
    """

    fitted_arrays = ("mean_", "scale_", "coef_", "intercept_", "alpha_")
    additive = True

    mean_: Array
    scale_: Array
    coef_: Array
    intercept_: Array
    alpha_: Array

    def fit(self, X: Array, y: Array) -> Self:
        """Choose the penalty and fit the coefficients."""
        X, y = self._check_fit_input(X, y)
        standardizer = Standardizer.fit(X)
        self.mean_, self.scale_ = standardizer.mean, standardizer.scale
        model = RidgeCV(ALPHAS).fit(standardizer.transform(X), y)
        self.coef_, self.intercept_, self.alpha_ = model.coef_, np.array(model.intercept_), np.array(model.alpha_)
        return self

    def predict(self, X: Array) -> Array:
        """Predict accuracies, (m,)."""
        return row_sums(self._terms(X)) + self.intercept_

    def contributions(self, X: Array) -> Array:
        """Terms of the linear model, and the intercept, (m, d + 1)."""
        terms = self._terms(X)
        return np.column_stack([terms, np.full(len(terms), self.intercept_)])

    def _terms(self, X: Array) -> Array:
        X = self._check_input(X)
        return Standardizer(self.mean_, self.scale_).transform(X) * self.coef_
