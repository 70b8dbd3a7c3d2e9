"""Backends that score architectures: tasks in, outcomes out.

`backend` is the interface, and `task_scorer` scores a task in every backend. `inline_backend` scores in the present
process. `pool_backend` queues and retries for several `worker`s: `process_backend` has a `worker_process` each, where
`worker_main` runs; `ray_backend` has a `ray_worker` each, an actor (`ray_actor`) in a Ray cluster to which another
process (`ray_driver`) is connected.
"""
