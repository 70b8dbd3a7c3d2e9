"""Look up known vulnerabilities of the versions in constraints.txt; exit with 1 if there is one.

Versions that cannot be looked up, for example without a network, are reported and pass.
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
    vulnerabilities = [
        f"{package['name']} {package['version']}: {entry['id']}"
        for package in packages
        for entry in package.get("vulns", ())
    ]
    unknown = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if vulnerabilities:
        message = "\n".join(["known vulnerabilities:", *vulnerabilities])
    elif len(unknown) == len(packages):
        reasons = unknown or run.stderr.strip().splitlines()[-1:] or ["pip-audit had no output"]
        message = f"not audited: {reasons[0]}"
    else:
        rest = f"; {len(unknown)} could not be looked up" if unknown else ""
        message = f"no known vulnerabilities in {len(packages) - len(unknown)} packages{rest}"
    sys.stdout.write(message + "\n")
    return int(bool(vulnerabilities))


if __name__ == "__main__":
    sys.exit(main())
