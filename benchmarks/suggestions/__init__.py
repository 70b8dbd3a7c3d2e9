"""Which architectures to train first on a new data set: methods of choice at equal numbers of trainings."""
