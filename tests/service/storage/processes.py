"""What other processes do to a store. They fork from a server that has imported it already, which takes seconds."""

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
from tests.service.storage.conftest import items

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.service.storage.processes"])
PATIENCE = 30
FOREVER = 3600


class Child:
    """Another process, and what it says."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def hear(self) -> Any:
        """What it said next. Raises `EOFError` where it ended without a further word."""
        assert self._pipe.poll(PATIENCE), "the process says nothing"
        return self._pipe.recv()

    def tell(self, word: Any) -> None:
        self._pipe.send(word)

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._process.join(PATIENCE)
        self._pipe.close()
        self._process.close()


@contextmanager
def child(target: Callable[..., None], *arguments: Any) -> Iterator[Child]:
    one = Child(target, *arguments)
    try:
        yield one
    finally:
        one.kill()


def claim_all(pipe: Connection, url: str, worker: str) -> None:
    """Claim and finish, a few at a time, until nothing is left; say what."""
    with Store.open(url) as store:
        pipe.send("ready")
        pipe.recv()
        mine = []
        while claims := store.queue.claim(3, worker):
            mine += [(one.job.number, one.position) for one in claims]
            assert all(store.queue.finish(one, {"by": worker}) for one in claims)
        pipe.send(mine)


def open_once(pipe: Connection, url: str) -> None:
    """Open as soon as told; say how it went."""
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
        time.sleep(FOREVER)


def create_and_hang(pipe: Connection, url: str) -> None:
    with Store.open(url) as store:
        _stop_before_commit(pipe)
        store.jobs.create("predictions", {}, items(2000), "killed", "key")


def finish_and_hang(pipe: Connection, url: str) -> None:
    with Store.open(url) as store:
        claims = store.queue.claim(2, "killed")
        _stop_before_commit(pipe)
        store.queue.finish(claims[0], {"by": "killed"})


def work_for_ever(pipe: Connection, url: str) -> None:
    """Create, claim and finish without end; say what was promised to a client."""
    with Store.open(url) as store:
        while True:
            job, _ = store.jobs.create("predictions", {}, items(20), "killed")
            pipe.send(("job", job.id, None))
            for one in store.queue.claim(10, f"w{os.getpid()}"):
                store.queue.finish(one, {"by": "killed"})
                pipe.send(("item", one.job.id, one.position))


def hold_the_lock(pipe: Connection, file: str) -> None:
    """Keep an SQLite file locked."""
    conn = sqlite3.connect(file, isolation_level=None)
    conn.execute("BEGIN IMMEDIATE")
    pipe.send("locked")
    time.sleep(FOREVER)
