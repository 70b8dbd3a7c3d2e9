"""Mutations of valid inputs. Random bytes alone would not pass a reader's first check."""

import re
from collections.abc import Sequence

from hypothesis import strategies as st

MAX_MUTATIONS = 8
WORD = re.compile(rb"-?[\w.]+")
TOKENS = (
    *(b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\n", b"\r\n", b"\r", b"\0", b" ", b"\xff", b"\xef\xbb\xbf"),
    *(b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"1e308", b"null", b"true", b"[]", b"{}", b'""', b"9" * 20),
    *(b"9" * 5000, b"[" * 2000, b'{"a":' * 2000, b'"\\ud800"', b"\x80\x02", b"\x7f\xff\xff\xff", b"\xff" * 8),
)


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Strategy of mutated seeds and of random bytes.

    Args:
        draw: Hypothesis' draw function.
        seeds: valid inputs.
        tokens: pieces of the format.
    """
    content = draw(st.sampled_from([*seeds, b""]))
    if not content:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 2, 3, MAX_MUTATIONS]))):
        start = draw(st.integers(0, len(content)))
        if word := WORD.search(content, start):  # replace whole values or names, as parts of them are refused at once
            start = draw(st.sampled_from([start, word.start()]))
        end = (
            word.end()
            if word and start == word.start()
            else min(len(content), start + draw(st.sampled_from([0, 0, 1, 1, 2, 4, 8, 30, 1000])))
        )
        other = draw(st.sampled_from(seeds))[start : end + 20]
        new = draw(st.sampled_from([b"", other, *TOKENS, *tokens]) | st.binary(max_size=8))
        content = content[:start] + new + content[end:]
    return content
