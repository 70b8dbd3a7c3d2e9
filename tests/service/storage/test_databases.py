"""Databases that cannot be the store: one sentence from every command, and no tables created."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from service.storage import Store, StoreError
from tests.service.storage.postgres import LOCKED, Postgres
from tests.waiting import PATIENCE_S

ENCODINGS = ("SQL_ASCII", "LATIN1", "WIN1252", "EUC_JP", "MULE_INTERNAL")
COMMANDS = (("keys", "list"), ("keys", "create", "--name", "lab"), ("keys", "open"), ("serve", "--port", "0"))


@contextmanager
def database(postgres: Postgres, encoding: str) -> Iterator[str]:
    name = f"encoded_{encoding.lower()}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def not_postgres() -> Iterator[str]:
    """URL of a web server."""

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"postgresql://me:s3cret@127.0.0.1:{listener.getsockname()[1]}/archrank"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def run(url: str, *command: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {"ARCHRANK_STORE_URL": url, "ARCHRANK_NUM_THREADS": "1", "ARCHRANK_NUM_WORKERS": "1"}
    arguments = (sys.executable, "-m", "service.cli", *command)
    return subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=PATIENCE_S)


def tables(url: str) -> int:
    with psycopg.connect(url, client_encoding="utf8") as conn:
        row = conn.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").fetchone()
    assert row is not None
    return int(row[0])


def test_every_command_reports_the_encoding_in_one_sentence(postgres: Postgres) -> None:
    message = "the encoding of database 'encoded_sql_ascii' is SQL_ASCII; archrank needs UTF8"
    with database(postgres, "SQL_ASCII") as url:
        for command in COMMANDS:
            completed = run(url, *command)
            assert (completed.returncode, completed.stdout, len(completed.stderr.splitlines())) == (2, "", 1), (
                completed.stderr
            )
            assert completed.stderr.startswith(message)
        completed = run(url, "doctor", "--json")
        findings = {finding["check"]: finding for finding in json.loads(completed.stdout)["findings"]}
        assert completed.returncode == 1
        assert findings["store"]["status"] == "error"
        assert findings["store"]["message"].startswith(message)
        assert findings["keys"]["status"] == "skipped"
        assert tables(url) == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_only_utf8_holds_every_character(encoding: str, postgres: Postgres) -> None:
    with database(postgres, encoding) as url, pytest.raises(StoreError, match=f"UTF8.*{encoding}|{encoding}.*UTF8"):
        Store.open(url)


def test_encoding_of_the_url_does_not_matter(postgres: Postgres) -> None:
    with database(postgres, "UTF8") as url, Store.open(f"{url}&client_encoding=latin1") as store:
        assert store.keys.add("k1", "Žižek λ", "h4sh", ["predict"], {}).name == "Žižek λ"


def test_wrong_password(postgres: Postgres) -> None:
    postgres.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD 'right'")
    try:
        url = postgres.url("postgres").replace("tests@", f"{LOCKED}:wr0ng@")
        with pytest.raises(StoreError, match=f'password authentication failed for user "{LOCKED}"') as caught:
            Store.open(url)
        completed = run(url, "keys", "list")
    finally:
        postgres.execute(f"DROP ROLE {LOCKED}")
    assert (completed.returncode, len(completed.stderr.splitlines())) == (2, 1)
    assert "wr0ng" not in f"{caught.value} {completed.stderr}"


def test_server_is_not_postgres() -> None:
    with not_postgres() as url:
        with pytest.raises(StoreError, match="received invalid response") as caught:
            Store.open(url)
        completed = run(url, "serve", "--port", "0")
    assert (completed.returncode, completed.stdout, len(completed.stderr.splitlines())) == (2, "", 1), completed.stderr
    assert "s3cret" not in f"{caught.value} {completed.stderr}"


def test_user_may_not_create_tables(postgres: Postgres) -> None:
    postgres.execute("CREATE ROLE poor LOGIN")
    try:
        with database(postgres, "UTF8") as url, pytest.raises(StoreError, match="permission denied"):
            Store.open(url.replace("tests@", "poor@"))
    finally:
        postgres.execute("DROP ROLE poor")
