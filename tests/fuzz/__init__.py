"""Fuzzing of every reader of untrusted bytes: `make fuzz` for minutes, the tests for seconds."""
