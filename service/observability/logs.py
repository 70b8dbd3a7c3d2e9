"""Log lines: JSON or text on standard error, with the ids of what is being worked on, and without secrets.

Nothing here imports PyTorch: scoring processes set up their logs by it too.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

OURS = ("service", "ensemble", "models", "proxies", "uvicorn")
"""Whose lines are written from the level that is set; of other libraries only warnings are."""
_CONTEXT: ContextVar[Mapping[str, Any]] = ContextVar("context", default={})  # noqa: B039  # is never changed
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"}
_ENCODE = json.JSONEncoder(default=str).encode
_KEY = re.compile(r"ark_[A-Za-z0-9_-]{8,}")
_PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s]*@")


def bind(**ids: Any) -> None:
    """Have every line that the present task writes from now on name these, and every line of tasks that it starts."""
    _CONTEXT.set({**_CONTEXT.get(), **ids})


def bound() -> Mapping[str, Any]:
    """What the present task has bound."""
    return _CONTEXT.get()


def setup(style: str, level: str, **ids: Any) -> None:
    """Write this process's log to standard error.

    Args:
        style: json, text, or auto: text for a terminal.
        level: the least that is written.
        ids: for every line of this process.
    """
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(ids) if style == "json" else TextFormatter(ids))
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(True)
    # Nobody writes these down, and every line of the log is made while a request waits.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _Formatter(logging.Formatter):
    """`ids`: for every line."""

    def __init__(self, ids: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._ids = ids or {}

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """What is bound, and what came as `extra`."""
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
        return {**self._ids, **_CONTEXT.get(), **extra}


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self.fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redacted(_ENCODE(line))


class TextFormatter(_Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        line += "".join(f" {name}={value}" for name, value in self.fields(record).items())
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redacted(line)


def redacted(line: str) -> str:
    """The line without API keys and without passwords in URLs, wherever in it they stood."""
    if "ark_" in line:
        line = _KEY.sub("ark_***", line)
    if "://" in line:
        line = _PASSWORD.sub(r"\1***@", line)
    return line


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}+00:00"


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
