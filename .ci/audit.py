"""Looks the packages of requirements-dev.lock up among the known vulnerabilities (pip-audit).

A finding fails. Where no advisory service can be reached, or none of the packages is known there,
that is said, and all is well.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements-dev.lock"
SECONDS = 300


def main():
    """Returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
        command += [f"--requirement={LOCK}", "--format=json", f"--output={report}"]
        command += ["--progress-spinner=off"]
        try:
            subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
            packages = json.loads(report.read_text())["dependencies"]
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
            packages = []  # It writes a report only if it got answers.
    known = [package for package in packages if "vulns" in package]
    faults = [(package, fault) for package in known for fault in package["vulns"]]
    for package, fault in faults:
        fixed = ", ".join(fault["fix_versions"]) or "none"
        print(f"{package['name']} {package['version']}: {fault['id']}; fixed in {fixed}")
    if not known:
        print("audit: no advisory service in reach knows the packages; nothing was looked up")
    else:
        print(f"audit: {len(known)} of {len(packages)} packages looked up, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
