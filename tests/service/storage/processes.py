"""Other processes on a store, forked from a server that has imported it already, which takes seconds."""

import multiprocessing
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy import Engine, event

from service.storage import Store
from tests.service.storage.conftest import finish, new_items
from tests.waiting import PATIENCE_S

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.service.storage.processes"])
FOREVER_S = 3600


class Child:
    """Another process and the pipe to it."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def receive(self) -> Any:
        """Return the next message. Raises `EOFError` if the process ended."""
        assert self._pipe.poll(PATIENCE_S), "the process sent nothing"
        return self._pipe.recv()

    def send(self, message: Any) -> None:
        self._pipe.send(message)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()
        self._process.join(PATIENCE_S)
        self._pipe.close()
        self._process.close()


@contextmanager
def child(target: Callable[..., None], *arguments: Any) -> Iterator[Child]:
    process = Child(target, *arguments)
    try:
        yield process
    finally:
        process.kill()


def claim_all(pipe: Connection, url: str, server: str) -> None:
    """Claim and finish a few items at a time until none is left, and send which."""
    with Store.open(url) as store:
        pipe.send("ready")
        pipe.recv()
        finished = []
        while claims := store.queue.claim(3, server):
            finished += [(claim.job.number, claim.position) for claim in claims]
            assert all(finish(store, claim, {"by": server}) for claim in claims)
        pipe.send(finished)


def open_once(pipe: Connection, url: str) -> None:
    """Open the store on a signal, and send the outcome."""
    pipe.send("ready")
    pipe.recv()
    try:
        Store.open(url).close()
        pipe.send("opened")
    except Exception as error:
        pipe.send(repr(error))


def _stop_before_commit(pipe: Connection) -> None:
    @event.listens_for(Engine, "commit")
    def stop(conn: Any) -> None:
        pipe.send("written, not committed")
        time.sleep(FOREVER_S)


def create_and_hang(pipe: Connection, url: str) -> None:
    with Store.open(url) as store:
        _stop_before_commit(pipe)
        store.jobs.create("predictions", {}, new_items(2000), "killed", "key")


def finish_and_hang(pipe: Connection, url: str) -> None:
    with Store.open(url) as store:
        claims = store.queue.claim(2, "killed")
        _stop_before_commit(pipe)
        finish(store, claims[0], {"by": "killed"})


def work_forever(pipe: Connection, url: str) -> None:
    """Create, claim and finish without end, and send every effect that a client could rely on."""
    with Store.open(url) as store:
        while True:
            job, _ = store.jobs.create("predictions", {}, new_items(20), "killed")
            pipe.send(("job", job.id, None))
            for claim in store.queue.claim(10, f"w{os.getpid()}"):
                finish(store, claim, {"by": "killed"})
                pipe.send(("item", claim.job.id, claim.position))


def hold_the_lock(pipe: Connection, file: str) -> None:
    """Lock an SQLite file."""
    conn = sqlite3.connect(file, isolation_level=None)
    conn.execute("BEGIN IMMEDIATE")
    pipe.send("locked")
    time.sleep(FOREVER_S)
