"""Reasons why scoring an architecture fails, as workers report them and metrics count them."""

from typing import Literal

FailureKind = Literal["error", "out_of_memory", "device_error", "crash", "timeout", "cancelled", "interrupted"]
"""Reason why a task has no scores:

error: an exception; the same task would raise it again.
out_of_memory: the task needs more memory than is available.
device_error: the GPU stopped working.
crash: the worker exited, or sent an invalid reply.
timeout: the task took longer than its timeout.
cancelled: `Backend.cancel` was called.
interrupted: the backend stopped through no fault of the task, which may be tried elsewhere.
"""
