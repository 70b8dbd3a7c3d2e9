"""`archrank serve` says where it answers once it does; where it never will, it says why in one line and ends."""

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


def newer(folder: Path) -> None:
    Store.in_folder(folder).close()
    with sqlite3.connect(folder / "archrank.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def foreign(folder: Path) -> None:
    (folder / "archrank.db").write_bytes(b"no database" * 1000)


@pytest.mark.parametrize(("spoil", "word"), [(newer, "made by a newer archrank"), (foreign, "archrank's tables")])
def test_a_store_that_cannot_be_opened(spoil: Callable[[Path], None], word: str, tmp_path: Path) -> None:
    spoil(tmp_path)
    command = (sys.executable, "-m", "service.cli", "serve", "--port", "0")
    env = os.environ | {"ARCHRANK_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_answers_when_it_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, ready=False) as server:
        place = urlsplit(server.url)
        with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
            connection.sendall(b"GET /v1/limits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
