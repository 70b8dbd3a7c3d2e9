"""Fuzzing of every reader of bytes from outside: `make fuzz` for minutes, `make test` for seconds."""
