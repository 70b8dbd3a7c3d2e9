"""`archrank serve` prints its URL once it accepts connections, or exits with an error in one line."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.storage import Store
from tests.real_server import serving
from tests.waiting import PATIENCE_S


def write_newer_store(folder: Path) -> None:
    Store.open(Store.directory_url(folder)).close()
    with sqlite3.connect(folder / "archrank.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def write_invalid_store(folder: Path) -> None:
    (folder / "archrank.db").write_bytes(b"no database" * 1000)


@pytest.mark.parametrize(
    ("write_store", "message"),
    [(write_newer_store, "made by a newer archrank"), (write_invalid_store, "archrank's tables")],
)
def test_a_store_that_cannot_be_opened(write_store: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    write_store(tmp_path)
    command = (sys.executable, "-m", "service.cli", "serve", "--port", "0")
    env = os.environ | {"ARCHRANK_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_answers_when_it_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, ready=False) as server:
        address = urlsplit(server.url)
        with socket.create_connection(
            (str(address.hostname), int(address.port or 0)), timeout=PATIENCE_S
        ) as connection:
            connection.sendall(b"GET /v1/limits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
