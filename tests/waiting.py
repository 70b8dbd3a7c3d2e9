"""Time that tests wait."""

PATIENCE_S = 240.0
"""Time after which a test gives up on what ends by itself: far more than it takes, as the machine may be busy."""
