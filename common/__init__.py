"""Shared by every package: the error tree, strict readers of files and JSON, the version."""
