"""Conversion of results to JSON documents."""

from collections.abc import Mapping
from typing import Any

from ensemble import card
from service.api.cards import EnsembleCard


def ensemble_card(manifest: Mapping[str, Any]) -> EnsembleCard:
    """Make the card of an ensemble from its manifest."""
    return EnsembleCard.model_validate(card(manifest))
