"""News of jobs reach this process as transactions commit, and other servers of a PostgreSQL store."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic

import pytest

from service.storage import Store
from service.storage.news import JobNews, record
from tests.service.storage.conftest import Create, finish, new_items
from tests.service.storage.postgres import Postgres
from tests.waiting import PATIENCE_S


def test_each_transaction_with_events_is_published_once(store: Store, create: Create) -> None:
    published: list[list[str]] = []
    store.news.subscribe(lambda jobs: published.append(list(jobs)))
    job = create(2)
    claims = store.queue.claim(2, "w")
    store.queue.begin(claims)  # adds no event
    assert finish(store, claims[0], {})
    store.queue.release([claims[1]])
    store.jobs.cancel(job.id)
    assert published == [[job.id]] * 4  # created, claimed, settled, cancelled


def test_a_transaction_that_fails_is_not_published(store: Store, create: Create) -> None:
    job = create(1)
    published: list[str] = []
    store.news.subscribe(published.extend)
    with suppress(RuntimeError), store._db.write() as conn:
        record(conn, job.id)
        raise RuntimeError
    assert published == []


def test_unsubscribe() -> None:
    news, received = JobNews(), list[str]()
    news.subscribe(received.extend)
    news.publish(["a"])
    news.unsubscribe(received.extend)
    news.publish(["b"])
    assert received == ["a"]


def test_last_events(store: Store, create: Create) -> None:
    first, second = create(1), create(3)
    store.queue.claim(1, "w")
    assert store.jobs.last_events([first.id, second.id, "missing"]) == {first.id: 2, second.id: 1}
    assert store.jobs.last_events([]) == {}


@pytest.mark.postgres
def test_news_of_another_server_arrive_also_after_a_lost_connection(postgres: Postgres) -> None:
    postgres.execute("CREATE DATABASE news TEMPLATE migrated")
    received = SimpleQueue[str]()
    with Store.open(postgres.url("news")) as here, Store.open(postgres.url("news")) as there:

        def receive(jobs: Iterable[str]) -> None:
            for job in jobs:
                received.put(job)

        here.news.subscribe(receive)
        listener = here.listener()
        assert listener is not None
        listener.start()
        try:
            wait_for_news(there, received)
            postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            wait_for_news(there, received)
        finally:
            listener.stop()
    postgres.execute("DROP DATABASE news WITH (FORCE)")


def test_a_store_of_one_server_has_no_listener(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert store.listener() is None


def wait_for_news(store: Store, received: "SimpleQueue[str]") -> None:
    """Create jobs until another server has received news of one of them."""
    sent, deadline = set[str](), monotonic() + PATIENCE_S
    while monotonic() < deadline:
        sent.add(store.jobs.create("predictions", {}, new_items(1), "anonymous")[0].id)
        with suppress(Empty):
            if received.get(timeout=0.2) in sent:
                return
    raise AssertionError("no news arrived")
