"""Settings from the environment, from files and from arguments; strict JSON."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_settings import SettingsError

from common.errors import InputError, UnknownNameError
from common.strict_json import JsonError, loads
from service.api.problems import problem
from service.api_keys import create_key
from service.app import create_app
from service.inference.registry import EnsembleRegistry
from service.server.serve import check_host
from service.settings import KeyLimits, Settings
from service.storage.opening import open_store

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_PORT", "9000")
    monkeypatch.setenv("ARCHRANK_QUEUE_SIZE", "7")
    assert (Settings().port, Settings().queue_size, Settings(port=1).port) == (9000, 7, 1)
    assert create_app(Settings()).state.settings.port == 9000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("body_timeout", "heartbeat_timeout", "max_flops_ratio")
            for value in ("nan", "inf")
        ),
        *(("result_retention", value) for value in ("-inf", "1e10", "1e999", "-1")),
        *(
            (name, "1" + "0" * 30)
            for name in ("num_threads", "num_workers", "cache_size", "max_json_depth", "header_timeout")
        ),
        ("data_dir", "~nobody-of-that-name/x"),
        *(
            ("allowed_hosts", value)
            for value in ("https://lab.example", "lab.example:80", "a b", "lab.example.", "[::1]")
        ),
        ("keys", "[" * 50_000),
        ("keys", '[{"id": "a", "id": "b"}]'),
    ],
    ids=lambda value: value[:20],
)
def test_settings_that_make_no_sense_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"ARCHRANK_{name.upper()}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert problem(refused.value).detail.startswith((f"{name}: got ", f"{name}[0]: got "))


def test_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "archrank_port").write_text("1234")
    for name in ("data", "ensembles", "secrets"):
        monkeypatch.setenv(f"ARCHRANK_{name.upper()}_DIR", f"~/{name}")
    settings = Settings()
    assert (settings.expanded_data_dir, settings.ensembles_dir) == (tmp_path / "data", tmp_path / "ensembles")
    assert settings.port == 1234


def test_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(InputError, match=r"data_dir: got '~/.*without ~"):
        open_store(Settings())
    assert Settings(data_dir=tmp_path).expanded_data_dir == tmp_path


def test_settings_come_from_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archrank_store_url").write_text("postgresql://me:secret@db/archrank\n")
    (tmp_path / "archrank_port").write_text("1234")
    (tmp_path / "of_another_program").write_text("?")
    monkeypatch.setenv("ARCHRANK_SECRETS_DIR", str(tmp_path))
    assert (Settings().store_url, Settings().port) == ("postgresql://me:secret@db/archrank", 1234)
    assert Settings(secrets_dir=tmp_path, port=1).port == 1
    monkeypatch.setenv("ARCHRANK_PORT", "9000")
    assert Settings().port == 9000


@pytest.mark.parametrize("make", [lambda path: None, Path.touch], ids=["missing", "a file"])
def test_secrets_folder_has_to_be_one(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "secrets")
    with pytest.raises(InputError, match=r"secrets_dir: got '.*secrets'; allowed: a directory"):
        Settings(secrets_dir=tmp_path / "secrets")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_other_machines_are_let_in_only_with_a_key(host: str, tmp_path: Path) -> None:
    settings = Settings(host=host, data_dir=tmp_path)
    with pytest.raises(InputError, match="archrank keys create"):
        check_host(settings)
    key = create_key("lab", ["predict"], KeyLimits())[1]
    check_host(Settings(host=host, data_dir=tmp_path, keys=(key,)))
    with open_store(settings) as store:
        store.keys.add(**key.model_dump(mode="json"))
        check_host(settings)
        store.keys.revoke(key.id)
    with pytest.raises(InputError, match="archrank keys create"):
        check_host(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_key(host: str, tmp_path: Path) -> None:
    check_host(Settings(host=host, data_dir=tmp_path / "none"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ('[{"id": "0123456789ab", "name": "lab", "hash": "ark_0123456789ab_secret"}]', "keys[0].hash"),
        ('[{"id": "lab", "name": "lab", "hash": "sha256:' + "0" * 64 + '"}]', "keys[0].id"),
        ('[{"id": "0123456789ab", "name": "lab", "hash": "sha256:' + "0" * 64 + '", "scopes": ["all"]}]', "keys[0].sc"),
        ("{", "keys"),
    ],
)
def test_bad_keys_are_refused(monkeypatch: pytest.MonkeyPatch, keys: str, field: str) -> None:
    monkeypatch.setenv("ARCHRANK_KEYS", keys)
    with pytest.raises((ValidationError, SettingsError)) as caught:
        Settings()
    assert field in (str(caught.value) if isinstance(caught.value, SettingsError) else problem(caught.value).detail)


def test_default_ensemble_has_to_exist(tmp_path: Path) -> None:
    library = EnsembleRegistry.load(Settings(ensembles_dir=tmp_path, device="cpu"))
    with pytest.raises(UnknownNameError, match="none is installed"):
        library.get()
    assert library.default_space == "gcn-nas"


@given(VALUES)
def test_strict_json_reads_what_json_writes(value: Any) -> None:
    assert loads(json.dumps(value).encode(), max_depth=100) == value


@given(st.binary(max_size=60))
def test_strict_json_refuses_with_its_own_error(data: bytes) -> None:
    with contextlib.suppress(JsonError):
        loads(data, max_depth=4)


@pytest.mark.parametrize(("depth", "fits"), [(1, True), (4, True), (5, False)])
def test_nesting_is_counted_in_levels(depth: int, fits: bool) -> None:
    for text in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"0" + b"}" * depth):
        if fits:
            loads(text, max_depth=4)
        else:
            with pytest.raises(JsonError, match="4 levels"):
                loads(text, max_depth=4)
