"""What every zero-cost proxy is worth on every search space."""
