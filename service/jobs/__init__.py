"""Jobs, worked off in the background."""
