"""Where architectures get scored: tasks in, outcomes out, whatever becomes of the process that scores.

`base` is the interface; `scoring` is what every backend does with a task. `inline` does it in this process. `processes`
does it in others: it queues and retries, each `slot` holds a process and its successors, and `child` runs in there.
"""
