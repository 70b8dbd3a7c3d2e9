"""`archrank search --url` on a server with several ensembles of a space."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ensemble.artifact import MANIFEST, _manifest_hash
from service.cli import app
from service.settings import SHIPPED
from tests.real_server import serving

FIRST, DEFAULT = "gcn-nas-ntu", "other"


def test_the_default_ensemble_of_the_server_predicts(tmp_path: Path) -> None:
    pytest.importorskip("archrank_client")
    for name in (FIRST, DEFAULT):
        shutil.copytree(SHIPPED / FIRST, tmp_path / "ensembles" / name)
    file = tmp_path / "ensembles" / DEFAULT / MANIFEST
    manifest = json.loads(file.read_text())
    manifest["combiners"].remove("ridge")
    file.write_text(json.dumps({**manifest, "manifest_sha256": _manifest_hash(manifest)}))
    options = [
        "search",
        "--strategy",
        "random",
        "--budget",
        "2",
        "--combiner",
        "forest",
        "--out",
        str(tmp_path / "out"),
    ]
    with serving(tmp_path, ensembles_dir=tmp_path / "ensembles", default_ensemble=DEFAULT) as server:
        cards = server.client.get("/v1/ensembles").json()
        shown = CliRunner().invoke(app, [*options, "--url", str(server.client.base_url)])
    assert shown.exit_code == 0, shown.output
    hash_ = json.loads((tmp_path / "out" / "result.json").read_text())["ensemble"]["hash"]
    assert hash_ == cards[DEFAULT]["hash"] != cards[FIRST]["hash"]
