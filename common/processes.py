"""Child processes."""

import os
from multiprocessing import connection, parent_process
from threading import Thread


def exit_with_parent() -> None:
    """Exit when the parent process ends, even by SIGKILL, instead of keeping a core busy."""

    def wait_for_parent() -> None:
        parent = parent_process()
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    Thread(target=wait_for_parent, name="exit with parent", daemon=True).start()
