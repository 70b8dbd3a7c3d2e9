"""The `nas-bench-graph` search space (Qin et al., NeurIPS 2022)."""
