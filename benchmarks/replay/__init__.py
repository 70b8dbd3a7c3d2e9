"""What a search would have found after k trainings, replayed on a benchmark of trained architectures."""
