"""Worth of every zero-cost proxy on every search space."""
