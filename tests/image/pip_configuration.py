"""Configuration of this machine's pip, for builds of images."""

import ast
import configparser
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

INDEXES = ("index-url", "extra-index-url")
OPTIONS = (*INDEXES, "find-links", "no-index", "trusted-host", "proxy", "cert", "constraint", "timeout", "retries")
"""Options that decide where packages come from."""


@dataclass(frozen=True)
class PipConfiguration:
    """Where pip finds packages.

    Attributes:
        options: values by option.
    """

    options: dict[str, str]

    @classmethod
    def of_this_machine(cls) -> "PipConfiguration":
        """Read the configuration, from files and environment variables."""
        command = [sys.executable, "-m", "pip", "config", "list"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        values = dict(line.split("=", 1) for line in lines)
        found = {}
        for prefix in ("global.", "install.", ":env:."):  # later ones take precedence
            for option in OPTIONS:
                for name in (option, f"default-{option}"):
                    if (key := f"{prefix}{name}") in values:
                        found[option] = str(ast.literal_eval(values[key]))
        return cls(found)

    @property
    def index(self) -> str:
        """URL of the index, without a password."""
        parts = urlsplit(self.options.get("index-url", ""))
        return f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.scheme else "pip's default index"

    def paths(self) -> set[Path]:
        """Files and folders that the options name; for an index the folder above, as its links may leave it."""
        paths = set()
        for option, value in self.options.items():
            for path in _paths(value.split()):
                above = path.parent if option in INDEXES and path.parent != Path("/") else path
                paths.add(above)
        return paths

    def without_paths(self) -> "PipConfiguration":
        """Remove values that are paths of this machine."""
        kept = {
            option: [word for word in value.split() if not _paths([word])] for option, value in self.options.items()
        }
        return PipConfiguration({option: " ".join(words) for option, words in kept.items() if words})

    def text(self) -> str:
        """Return the contents of a `pip.conf`."""
        parser = configparser.RawConfigParser()
        parser["global"] = self.options
        text = StringIO()
        parser.write(text)
        return text.getvalue()


def _paths(words: Iterable[str]) -> list[Path]:
    urls = [(word, urlsplit(word)) for word in words]
    paths = [Path(url2pathname(url.path) if url.scheme == "file" else word) for word, url in urls]
    return [path for path in paths if path.is_absolute() and path.exists()]
