"""Soak test of a real server: mixed load, with every response checked and the memory measured."""
