"""From architectures to scores and predictions, without HTTP."""
