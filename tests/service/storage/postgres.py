"""A PostgreSQL server for tests, if its programs are installed."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg

from tests.waiting import PATIENCE_S

DIRECTORIES = ["/usr/local/bin", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
LOCKED = "locked"
"""Role with a password, created by a test."""


def program(name: str) -> str | None:
    """Return the path of a program; None if it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *DIRECTORIES]))


def user() -> str | None:
    """Return the user that runs the server, which refuses root; None for the present user."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


class Postgres:
    """A server that listens only on a socket in its directory. It runs without fsync, as no test cuts the power."""

    def __init__(self, directory: Path) -> None:
        self._data, self._socket, self._user = directory / "data", directory, user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            shutil.chown(directory, self._user)
        initdb = [program("initdb"), "--pgdata", self._data, "--username", "tests", "--auth", "trust", "--no-sync"]
        self._run([*initdb, "--encoding", "UTF8", "--locale", "C"])
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"local all {LOCKED} scram-sha-256\n{rules.read_text()}")

    def url(self, database: str) -> str:
        return f"postgresql://tests@/{database}?host={self._socket}"

    def start(self) -> None:
        settings = {"listen_addresses": "", "unix_socket_directories": self._socket, "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [str(program("postgres")), "-D", str(self._data), *options],
            user=self._user,
            cwd=self._data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, "PostgreSQL ended"
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once and close all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as conn:
            conn.execute(statement.encode())

    def _run(self, command: list[object]) -> None:
        directory = self._data.parent
        subprocess.run(list(map(str, command)), check=True, user=self._user, cwd=directory, stdout=subprocess.DEVNULL)
