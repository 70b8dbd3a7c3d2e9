"""Test of the container image: built, run and composed by a container engine."""
