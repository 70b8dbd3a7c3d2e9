"""Quality of transfer between the data sets of NAS-Bench-Graph."""
