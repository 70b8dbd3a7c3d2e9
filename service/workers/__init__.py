"""Backends that score architectures: tasks in, outcomes out.

`backend` is the interface, and `task_scorer` scores a task in every backend. `inline_backend` scores in the present
process. `process_backend` scores in worker processes: it queues and retries, each `worker_process` manages a process
and its replacements, and `worker_main` runs in the process.
"""
