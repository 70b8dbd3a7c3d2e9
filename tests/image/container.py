"""The image in a read-only container as an unprivileged user."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from archrank_client import Client

from tests.image import service_checks
from tests.image.engine import Engine, ImageTestError

TMPFS = "/tmp:size=64m"
SHUTDOWN_DELAY_S, SHUTDOWN_TIMEOUT_S, CLOSING_S = 1, 20, 10
LOOK = Path(__file__).with_name("look_inside.py").read_text()


def look_inside(engine: Engine, image: str, torch: str, extras: str) -> str:
    """Check the packages, the user, its privileges and the folders that it can write; return a summary."""
    found = json.loads(_once(engine, image, "-c", LOOK, options=["--entrypoint", "python"]))
    expected = {
        "absent": [],
        "present": [],
        "writable": ["/tmp", "/var/lib/archrank"],
        "user": 10001,
        "capabilities": "0" * 16,
        "no_new_privileges": "1",
        "ray": "ray" in extras.split(","),
    }
    for name, value in expected.items():
        if found[name] != value:
            raise ImageTestError(f"in the container {name} is {found[name]}, not {value}")
    if (found["cuda"] is None) != (torch == "cpu"):
        raise ImageTestError(f"PyTorch {found['torch']} is for CUDA {found['cuda']}, and TORCH={torch}")
    return f"PyTorch {found['torch']}, user 10001 without capabilities, writes to /tmp and /var/lib/archrank only"


def check_doctor(engine: Engine, image: str) -> str:
    """Run `archrank doctor`, and return a summary of its report."""
    report = json.loads(_once(engine, image, "doctor", "--json"))
    states = [finding["status"] for finding in report["findings"]]
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))


def check_service(engine: Engine, image: str, name: str, step: Callable[[str, Callable[[], str]], None]) -> None:
    """Serve, request, and stop while a job runs.

    Args:
        engine: the engine.
        image: name of the image.
        name: name of the container and of its volume.
        step: runs a function and prints its summary.
    """
    volume = ["--volume", f"{name}:/var/lib/archrank"]
    create = ["keys", "create", "--name", name, "--scope", "predict", "--scope", "admin"]
    key = _once(engine, image, *create, options=volume).split()[-1]
    port = service_checks.free_port()
    url = f"http://127.0.0.1:{port}"
    shutdown = {"ARCHRANK_SHUTDOWN_DELAY": SHUTDOWN_DELAY_S, "ARCHRANK_SHUTDOWN_TIMEOUT": SHUTDOWN_TIMEOUT_S}
    options = [*volume, "--publish", f"127.0.0.1:{port}:8000", "--env", "ARCHRANK_NUM_WORKERS=2"]
    options += ["--env", "ARCHRANK_NUM_THREADS=1", *(f"--env={key}={value}" for key, value in shutdown.items())]

    def start() -> str:
        engine.run("run", "--detach", "--name", name, *engine.hardening, "--tmpfs", TMPFS, *options, image)
        return f"ready {service_checks.wait_until_ready(url):.1f} s after the container's start"

    def stop() -> str:
        started = time.monotonic()
        limit = SHUTDOWN_DELAY_S + SHUTDOWN_TIMEOUT_S + CLOSING_S
        engine.run("stop", "--time", str(limit + 10), name)
        seconds, code = time.monotonic() - started, engine.inspect(name)["State"]["ExitCode"]
        if code != 0 or seconds > limit:
            raise ImageTestError(f"after SIGTERM the service exited with {code} after {seconds:.0f} s, of {limit} s")
        return f"exited with 0 after {seconds:.1f} s"

    try:
        step("serve", start)
        step("health check of the image", lambda: check_health(engine, name))
        with Client(url, key) as client:
            step("prediction", lambda: service_checks.check_predictions(client))
            step("job", lambda: service_checks.check_job(client))
            service_checks.keep_busy(client)
            step("SIGTERM during a job", stop)
    except Exception:
        print(engine.run("logs", "--tail", "30", name, check=False))
        raise
    finally:
        engine.run("rm", "--force", "--volumes", name, check=False)
        engine.run("volume", "rm", "--force", name, check=False)


def check_health(engine: Engine, name: str) -> str:
    """Run the HEALTHCHECK of the image in a container."""
    test = engine.inspect(name)["Config"]["Healthcheck"]["Test"]
    engine.run("exec", name, *test[1:])
    return "healthy"


def _once(engine: Engine, image: str, *command: str, options: Sequence[str] = ()) -> str:
    """Run a command in a container that is deleted afterwards."""
    return engine.run("run", "--rm", *engine.hardening, "--tmpfs", TMPFS, *options, image, *command)
