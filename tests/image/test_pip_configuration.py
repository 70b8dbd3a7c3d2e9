"""Tests of the configuration that a build of the image gets."""

from pathlib import Path

import pytest

from tests.image.pip_configuration import PipConfiguration


def test_environment_takes_precedence_over_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\ntimeout = 7\nretries = 2\n")
    for name in ("PIP_TIMEOUT", "PIP_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "9")
    options = PipConfiguration.of_this_machine().options
    assert (options["timeout"], options["retries"]) == ("9", "2")


def test_paths_are_those_of_the_options(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    configuration = PipConfiguration(
        {
            "index-url": "https://user:password@mirror.example/simple",
            "extra-index-url": f"file://{tmp_path}/mirror/simple",
            "find-links": f"{tmp_path}/wheels {tmp_path}/absent",
        }
    )
    assert configuration.paths() == {tmp_path / "mirror", tmp_path / "wheels"}
    assert configuration.without_paths().options["index-url"] == configuration.options["index-url"]
    assert "extra-index-url" not in configuration.without_paths().options
    assert "password" not in configuration.index
    assert configuration.text().startswith("[global]\nindex-url = https://user:password@")
