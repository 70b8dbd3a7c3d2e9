"""Build the image, run it read-only as an unprivileged user, and bring up compose.yaml.

    python -m tests.image

Needs Docker or Podman. Where the registry of the base image is not reachable, a base is made of Debian's packages,
which needs root and mmdebstrap. As root, Podman's images lie in a temporary folder, which is deleted at the end.
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from common.errors import ArchrankError
from tests.image.compose import PROJECT, Composed
from tests.image.container import check_doctor, check_service, look_inside
from tests.image.debian import POSTGRES, PYTHON, can_pull, import_debian
from tests.image.engine import Engine, ImageTestError, ImageTestSkippedError, find_engine
from tests.image.pip_configuration import PipConfiguration
from tests.image.service_checks import ROOT

MAX_CPU_IMAGE_GB = 1.6
IMAGE = "archrank:cpu"
DEBIAN_BASE, DEBIAN_POSTGRES = "localhost/archrank-test-base", "localhost/archrank-test-postgres"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["docker", "podman"], help="default: the first that works")
    parser.add_argument("--base", help="base image that the engine has; default: that of the Dockerfile")
    parser.add_argument("--torch-index", default="", help="TORCH_INDEX; default: pip's configured index")
    parser.add_argument("--extras", default="all", help="EXTRAS")
    parser.add_argument("--storage", type=Path, help="folder for Podman's images, which is kept")
    args = parser.parse_args()
    temporary = Path(tempfile.mkdtemp(prefix="archrank-image-", dir="/var/tmp"))
    engine = find_engine(args.storage or temporary / "engine", args.engine)
    if engine is None:
        print("skipped: neither Docker nor Podman works on this machine; Buildah alone builds an image, but runs none")
        return
    try:
        with ThreadPoolExecutor(1) as pool:
            test(engine, args, temporary, pool)
    except ImageTestSkippedError as reason:
        print(f"skipped: {reason}")
    except ArchrankError as error:
        sys.exit(f"failed: {error}")
    finally:
        if args.storage is None:
            engine.close()
        shutil.rmtree(temporary, ignore_errors=True)


def test(engine: Engine, args: argparse.Namespace, temporary: Path, pool: ThreadPoolExecutor) -> None:
    """Run all steps; raise `ImageTestError` at the first that fails."""
    started = time.monotonic()
    base = str(args.base or _declared_base())
    release = base.rsplit("-", 1)[-1]
    postgres: Future[str] | None = None

    def find_base() -> str:
        nonlocal base, postgres
        if not engine.has_image(base) and not can_pull(engine, base):
            postgres = pool.submit(_debian_postgres, engine, release)
            if not engine.has_image(DEBIAN_BASE):
                import_debian(engine, DEBIAN_BASE, release, PYTHON)
            base = DEBIAN_BASE
        return f"{base}, {_gigabytes(engine, base):.2f} GB"

    step("base", find_base)
    step("build", lambda: build(engine, base, args.torch_index, args.extras))
    try:
        engine.run("run", "--rm", "--entrypoint", "python", IMAGE, "--version")
    except ImageTestError as error:
        raise ImageTestSkippedError(f"the image was built, and {engine.name} cannot run it here: {error}") from error
    step("contents", lambda: look_inside(engine, IMAGE, "cpu", args.extras))
    step("doctor", lambda: check_doctor(engine, IMAGE))
    check_service(engine, IMAGE, PROJECT, step)
    image = _declared_postgres()
    if postgres is not None:
        waiting = postgres
        step("image of PostgreSQL", waiting.result)
        image = DEBIAN_POSTGRES
    Composed(engine, temporary / "compose", image).check(step)
    print(f"{time.monotonic() - started:6.1f} s  in all, with {engine.name}")


def step(name: str, action: Callable[[], str]) -> None:
    """Run a step, and print its time and its summary."""
    started = time.monotonic()
    summary = action()
    print(f"{time.monotonic() - started:6.1f} s  {name}: {summary}", flush=True)


def build(engine: Engine, base: str, torch_index: str, extras: str) -> str:
    """Build the image for the CPU, and return a summary; raise `ImageTestError` if it is too large."""
    pip = PipConfiguration.of_this_machine()
    options = ["--tag", IMAGE, "--network", "host"]
    for name, value in {"BASE": base, "TORCH": "cpu", "TORCH_INDEX": torch_index, "EXTRAS": extras}.items():
        options += ["--build-arg", f"{name}={value}"]
    if engine.name == "docker":
        pip = pip.without_paths()  # its builds see no folder of this machine
    else:
        options += ["--isolation", "chroot", "--format", "docker", "--layers"]
        options += [f"--volume={path}:{path}:ro" for path in sorted(pip.paths())]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(pip.text())
        file.flush()
        engine.run("build", *options, "--secret", f"id=pip.conf,src={file.name}", str(ROOT))
    size = _gigabytes(engine, IMAGE)
    if extras == "all" and size > MAX_CPU_IMAGE_GB:
        raise ImageTestError(f"the image has {size:.2f} GB, more than {MAX_CPU_IMAGE_GB} GB")
    return f"{size:.2f} GB, packages from {pip.index}"


def _debian_postgres(engine: Engine, release: str) -> str:
    if not engine.has_image(DEBIAN_POSTGRES):
        import_debian(engine, f"{DEBIAN_POSTGRES}-base", release, POSTGRES)
        folder = str(Path(__file__).with_name("postgres"))
        options = ["--tag", DEBIAN_POSTGRES, "--build-arg", f"BASE={DEBIAN_POSTGRES}-base"]
        engine.run("build", *options, *(["--isolation", "chroot"] if engine.name == "podman" else []), folder)
    return f"of Debian's packages, {_gigabytes(engine, DEBIAN_POSTGRES):.2f} GB"


def _declared_base() -> str:
    return str(re.findall(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[0])


def _declared_postgres() -> str:
    return str(re.findall(r"POSTGRES_IMAGE:-([^}]+)", (ROOT / "compose.yaml").read_text())[0])


def _gigabytes(engine: Engine, image: str) -> float:
    return float(engine.inspect(image)["Size"]) / 1e9


if __name__ == "__main__":
    main()
