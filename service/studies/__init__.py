"""Studies of the service: definitions, fits in the background, and answers from the latest fit."""
