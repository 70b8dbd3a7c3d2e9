"""Scoring and prediction of architectures, for requests, jobs and searches alike."""
