"""Scaling of one server, of several servers, and of their database; see docs/scaling.md."""
