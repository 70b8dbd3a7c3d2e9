"""Tests of the studies of the service, in this process."""
