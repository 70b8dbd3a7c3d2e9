"""Looks up whether the versions of constraints.txt have known vulnerabilities; exit code 1 where one has.

Where that cannot be looked up it says so and passes: a machine without network tells nothing about the versions.
"""

import json
import subprocess
import sys

AUDIT = [sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"]


def main() -> int:
    run = subprocess.run([*AUDIT, "--format", "json", "--progress-spinner", "off"], capture_output=True, text=True)
    try:
        packages = json.loads(run.stdout)["dependencies"]
    except ValueError:
        packages = []
    found = [f"{one['name']} {one['version']}: {bug['id']}" for one in packages for bug in one.get("vulns", ())]
    unknown = [one["skip_reason"] for one in packages if "skip_reason" in one]
    if found:
        said = "\n".join(["known vulnerabilities:", *found])
    elif len(unknown) == len(packages):
        reasons = unknown or run.stderr.strip().splitlines()[-1:] or ["pip-audit said nothing"]
        said = f"not audited: {reasons[0]}"
    else:
        rest = f"; {len(unknown)} could not be looked up" if unknown else ""
        said = f"no known vulnerabilities in {len(packages) - len(unknown)} packages{rest}"
    sys.stdout.write(said + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
