"""Settings of an evolution."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Objective = Literal["within_stratum", "stratified", "overall"]


class EvolutionSettings(BaseModel):
    """Settings of an evolution.

    The defaults are those of the literature on genetic programming of proxies: tournaments and rates as in EZNAS
    (Akhauri et al., NeurIPS 2022), with a larger population.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    objective: Annotated[Objective, Field(description="what expressions are selected by")] = "within_stratum"
    population: Annotated[int, Field(ge=4, le=100_000)] = 200
    generations: Annotated[int, Field(ge=1, le=100_000)] = 40
    tournament: Annotated[int, Field(ge=1, description="size of a tournament")] = 5
    crossover: Annotated[float, Field(ge=0, le=1, description="probability that a pair is crossed")] = 0.6
    mutation: Annotated[float, Field(ge=0, le=1, description="probability that an expression is mutated")] = 0.3
    max_depth: Annotated[int, Field(ge=1, le=10, description="edges from the root to a leaf")] = 5
    penalty: Annotated[float, Field(ge=0, description="subtracted from the fitness for each node")] = 0.002
    parts: Annotated[int, Field(ge=1, description="parts of the training rows whose fitness is averaged")] = 3
    folds: Annotated[int, Field(ge=2, description="folds of the outer cross-validation")] = 5
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
