"""Server-sent events are parsed by the HTML standard, in any chunks, and within bounds of memory."""

import json

import pytest
from archrank_client import UnexpectedResponseError
from archrank_client.events import MAX_EVENT_BYTES, Event, EventParser
from hypothesis import example, given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
ID = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
TYPE = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), min_size=1, max_size=20).filter(
    lambda text: not text.startswith(" ")
)
EVENTS = st.lists(st.builds(Event, ID, TYPE, JSON), max_size=5)
LINE_END = st.sampled_from(["\n", "\r", "\r\n"])


def parse(stream: bytes) -> list[Event]:
    return EventParser().feed(stream)


def parse_in_chunks(content: bytes, cuts: list[int]) -> list[Event]:
    parser, events, start = EventParser(), [], 0
    for cut in [*sorted(cut % (len(content) + 1) for cut in cuts), len(content)]:
        events += parser.feed(content[start:cut])
        start = cut
    return events


def test_examples_of_the_standard() -> None:
    text = (
        ': here\n\nid: 1\nevent: item\ndata: {"a":\ndata: 1}\n\nretry: 5\ndata:2\n\nevent: lost\n\nid: 3\ndata: cut off'
    )
    assert parse(text.encode()) == [Event("1", "item", {"a": 1}), Event("1", "message", 2)]
    assert parse(b"data: no JSON\n\n") == [Event("", "message", "no JSON")]
    assert parse(b"\xef\xbb\xbfdata\n\ndata\ndata\n\ndata:") == [Event("", "message", ""), Event("", "message", "\n")]
    assert parse(b"data:test\n\ndata: test\n\n") == [Event("", "message", "test")] * 2
    assert parse("data: a\u2028b\x0bc\x85\n\n".encode()) == [Event("", "message", "a\u2028b\x0bc\x85")]  # no line ends
    assert parse(b"data: \xff\n\n") == [Event("", "message", "\ufffd")]


@given(EVENTS, LINE_END, st.booleans(), st.lists(st.integers(0, 2**20), max_size=8))
def test_round_trip_in_any_chunks(events: list[Event], line_end: str, ensure_ascii: bool, cuts: list[int]) -> None:
    lines = []
    for event in events:
        data = json.dumps(event.data, ensure_ascii=ensure_ascii, indent=1 if ensure_ascii else None).split("\n")
        lines += [": still here", f"id: {event.id}", f"event: {event.type}", *(f"data: {line}" for line in data), ""]
    content = "".join(line + line_end for line in lines).encode()
    assert parse(content) == parse_in_chunks(content, cuts) == events


@given(
    st.lists(st.sampled_from([b"id", b"data", b"event", b":", b" ", b"\r", b"\n", b"[", b"\xe9"]) | st.binary()).map(
        b"".join
    ),
    st.lists(st.integers(0, 2**20), max_size=8),
)
@example(b"data\r\n\r\n", [1, 2, 5])
@example("id: é\nevent: item\ndata: {}\n\n".encode(), [])
@example(b"data: " + b"[" * 100_000 + b"\n\n", [7])
@example(b"data: " + b"9" * 10_000 + b"\n\n", [7])
def test_any_bytes_are_events_or_an_error_of_the_client(content: bytes, cuts: list[int]) -> None:
    def outcome(cuts: list[int]) -> list[Event] | type[Exception]:
        try:
            events = parse_in_chunks(content, cuts)
        except UnexpectedResponseError as error:
            return type(error)
        assert all(event.id.isascii() and event.id.isprintable() for event in events)
        return events

    assert outcome([]) == outcome(cuts)


@pytest.mark.parametrize("chunk", [b"x" * 4096, b":" * 4096, b"data\n" * 800, b"data: \xff\n" * 500])
def test_endless_lines_and_events(chunk: bytes) -> None:
    parser = EventParser()
    feeds = (parser.feed(chunk) for _ in range(8 * MAX_EVENT_BYTES // 4096))
    with pytest.raises(UnexpectedResponseError, match=f"longer than {MAX_EVENT_BYTES} bytes"):
        list(feeds)


def test_long_events_and_endless_comments() -> None:
    data = "x" * (MAX_EVENT_BYTES - 100)
    parser = EventParser()
    for _ in range(3):
        parser.feed(b": still here\n" * 100_000)
        assert parser.feed(f"data: {data}\n\n".encode()) == [Event("", "message", data)]
