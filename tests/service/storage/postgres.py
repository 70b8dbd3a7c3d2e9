"""A PostgreSQL of the tests' own: started where its programs are installed, stopped by its process id."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg

FOLDERS = ["/usr/local/bin", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
LOCKED = "locked"
"""The one role that needs its password; a test makes it."""
PATIENCE = 30
"""Seconds that it may take to start or to stop."""


def program(name: str) -> str | None:
    """Where it is installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS]))


def user() -> str | None:
    """Whom it runs as, as it refuses to run as root; None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


class Postgres:
    """A server that listens on a socket in its folder alone. Without fsync, for speed: no test cuts the power."""

    def __init__(self, folder: Path) -> None:
        self._data, self._socket, self._user = folder / "data", folder, user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            shutil.chown(folder, self._user)
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
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, "PostgreSQL ended"
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.05)

    def stop(self) -> None:
        """At once; whoever is connected loses the connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as conn:
            conn.execute(statement.encode())

    def _run(self, command: list[object]) -> None:
        folder = self._data.parent
        subprocess.run(list(map(str, command)), check=True, user=self._user, cwd=folder, stdout=subprocess.DEVNULL)
