"""Log lines on standard error, as JSON or text, with the ids of the current work and without secrets.

Does not import PyTorch, as workers configure their logs before they choose a device.
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

LOGGERS = ("service", "ensemble", "models", "proxies", "uvicorn")
"""Loggers that log from the configured level on; all others log warnings and errors."""
_CONTEXT: ContextVar[Mapping[str, Any]] = ContextVar("context", default={})  # noqa: B039  # never mutated
_STANDARD_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"}
_ENCODE = json.JSONEncoder(default=str).encode
_KEY = re.compile(r"ark_[A-Za-z0-9_-]{8,}")
_PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s]*@")


def bind(**fields: Any) -> None:
    """Add fields to all later log lines of the current asyncio task and of the tasks that it creates."""
    _CONTEXT.set({**_CONTEXT.get(), **fields})


def bound() -> Mapping[str, Any]:
    """Return the fields bound by the current task."""
    return _CONTEXT.get()


def setup(log_format: str, level: str, **fields: Any) -> None:
    """Configure the log of this process.

    Args:
        log_format: json, text or auto; auto: text on a terminal, else json.
        level: lowest level logged.
        fields: fields of every line of this process.
    """
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(fields) if log_format == "json" else TextFormatter(fields))
    lowest = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(lowest, logging.WARNING), handlers=[handler], force=True)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(lowest)
    logging.captureWarnings(True)
    # Unused by the formatters, and each line is written while a request waits.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # the caller's file and line; documented in Logging HOWTO


class _Formatter(logging.Formatter):
    """Base of the formatters.

    Args:
        fields: fields of every line.
    """

    def __init__(self, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._fields = fields or {}

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of the process, of the current task, and of the record's `extra`."""
        extra = {
            name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS and value is not None
        }
        return {**self._fields, **_CONTEXT.get(), **extra}


class JsonFormatter(_Formatter):
    """Formats a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self.fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(_ENCODE(line))


class TextFormatter(_Formatter):
    """Formats a record as a line of text, followed by the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        line += "".join(f" {name}={value}" for name, value in self.fields(record).items())
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


def redact(line: str) -> str:
    """Replace API keys, and passwords in URLs, by asterisks."""
    if "ark_" in line:
        line = _KEY.sub("ark_***", line)
    if "://" in line:
        line = _PASSWORD.sub(r"\1***@", line)
    return line


def _time(record: logging.LogRecord) -> str:
    return f"{_format_second(int(record.created))}.{int(record.msecs):03}+00:00"


@lru_cache(1)
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
