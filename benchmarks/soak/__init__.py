"""A real server under mixed load for minutes: every answer is checked, and its memory is watched."""
