"""Quality of predictors on NAS-Bench-Graph."""
