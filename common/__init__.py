"""Modules used by every package: exceptions, files, strict JSON, optional dependencies and the version."""
