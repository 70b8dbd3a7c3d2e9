"""compose.yaml, brought up with PostgreSQL as docs/deploy.md says."""

import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from archrank_client import Client

from tests.image import service_checks
from tests.image.engine import Engine, ImageTestError, execute

PROJECT = "archrank-image-test"
STOP_TIMEOUT_S = 60
"""`stop_grace_period` of compose.yaml."""
DATABASE_TIMEOUT_S = 120


class Composed:
    """The services of compose.yaml.

    Args:
        engine: the engine.
        folder: new folder for compose.yaml, its settings and its secrets.
        postgres: image of PostgreSQL.
    """

    def __init__(self, engine: Engine, folder: Path, postgres: str) -> None:
        self._engine, self._folder = engine, folder
        podman = [str(Path(sys.executable).with_name("podman-compose"))]
        self._command = ["docker", "compose"] if engine.name == "docker" else podman
        self._command += ["--project-name", PROJECT]
        port = service_checks.free_port()
        self.url = f"http://127.0.0.1:{port}"
        (folder / "secrets").mkdir(mode=0o700, parents=True)
        shutil.copy(service_checks.ROOT / "compose.yaml", folder)
        (folder / ".env").write_text(f"ARCHRANK_PUBLISH=127.0.0.1:{port}\nPOSTGRES_IMAGE={postgres}\n")
        password = secrets.token_hex(24)
        url = f"postgresql://archrank:{password}@postgres/archrank"
        for name, text in {"postgres_password": password, "archrank_store_url": url}.items():
            file = folder / "secrets" / name
            file.write_text(text)
            file.chmod(0o444)

    def check(self, step: Callable[[str, Callable[[], str]], None]) -> None:
        """Bring the services up, make requests, and stop them."""
        key = ""

        def database() -> str:
            self._compose("up", "--detach", "postgres")
            self._wait_for_database()
            return "PostgreSQL is healthy"

        def start() -> str:
            nonlocal key
            run = self._compose("run", "--rm", "-T", "--no-deps", "archrank", "keys", "create", "--name", PROJECT)
            key = run.split()[-1]
            self._compose("up", "--detach", "--no-deps", "--no-build", "archrank")
            return f"ready {service_checks.wait_until_ready(self.url):.1f} s after `up`"

        def doctor() -> str:
            self._compose("exec", "-T", "archrank", "archrank", "doctor", "--host", "0.0.0.0")
            return "no errors"

        def stop() -> str:
            started = time.monotonic()
            self._compose("stop", "archrank")
            if (seconds := time.monotonic() - started) > STOP_TIMEOUT_S:
                raise ImageTestError(f"the service took {seconds:.0f} s to stop, of {STOP_TIMEOUT_S} s")
            return f"stopped after {seconds:.1f} s"

        try:
            step("compose: database", database)
            step("compose: serve", start)
            step("compose: doctor", doctor)
            with Client(self.url, key) as client:
                step("compose: job", lambda: service_checks.check_job(client))
            step("compose: stop", stop)
        except Exception:
            print(self._compose("logs", check=False)[-5000:])
            raise
        finally:
            self._compose("down", "--volumes", check=False)

    def _wait_for_database(self) -> None:
        """Run the health check of PostgreSQL until it succeeds; without systemd Podman does not run it by itself."""
        deadline = time.monotonic() + DATABASE_TIMEOUT_S
        command = ["exec", "-T", "postgres", "pg_isready", "--username", "archrank", "--dbname", "archrank"]
        while "accepting connections" not in self._compose(*command, check=False):
            if time.monotonic() > deadline:
                raise ImageTestError(f"PostgreSQL did not accept connections within {DATABASE_TIMEOUT_S} s")
            time.sleep(0.5)

    def _compose(self, *arguments: str, check: bool = True) -> str:
        environment = {**self._engine.environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return execute([*self._command, *arguments], environment, check=check, timeout=300, folder=self._folder)
