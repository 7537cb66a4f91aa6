"""The lock file holds what pyproject.toml asks for, with hashes; the list of licences is of it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements-dev.lock").read_text()
LOCKED = {}  # name -> versions: some differ between versions of Python
for match in re.finditer(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE):
    LOCKED.setdefault(canonicalize_name(match[1]), set()).add(match[2])


def wanted(extra=None):
    """What pyproject.toml asks for, the extras of an extra among it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            for inner in requirement.extras:
                yield from wanted(inner)
        else:
            yield requirement


def test_the_lock_file_satisfies_pyproject():
    asked = [*wanted(), *wanted("dev")]
    assert len(asked) > 20
    for requirement in asked:
        versions = LOCKED.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not locked"
        for version in versions:
            assert requirement.specifier.contains(version), f"{requirement}: {version} is locked"


def test_every_locked_package_has_hashes_and_none_an_address():
    packages = [entry for entry in re.split(r"\n(?=\w)", LOCK) if not entry.startswith("#")]
    assert len(packages) > 100
    for entry in packages:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in LOCK
    assert not re.search(r"^--", LOCK, re.MULTILINE)  # Nor an option, such as --index-url.


def test_every_listed_licence_is_of_a_locked_package_and_is_known():
    page = (ROOT / "docs/licences.md").read_text()
    rows = re.findall(r"^\| (\w[\w.-]*) \| (\S+) \| (.+) \|$", page, re.MULTILINE)
    listed = {canonicalize_name(name): version for name, version, _ in rows if name != "Name"}
    assert len(listed) > 100
    for name, version in listed.items():
        assert version in LOCKED.get(name, ()), name
    assert all(licence.strip() not in ("UNKNOWN", "") for _, _, licence in rows)
    for requirement in [*wanted(), *wanted("dev")]:
        name = canonicalize_name(requirement.name)
        assert name in listed or requirement.name in page, name


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        (None, 0, "no advisory service in reach"),
        ([{"name": "a", "skip_reason": "not found"}], 0, "no advisory service in reach"),
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 of 1 packages looked up, 0 faults"),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}],
            1,
            "a 1: CVE-1; fixed in 2",
        ),
    ],
)
def test_a_finding_fails_and_no_network_does_not(tmp_path, report, code, said):
    (tmp_path / "pip_audit.py").write_text(
        "import json, pathlib, sys\n"
        f"report = json.loads({json.dumps(json.dumps(report))})\n"
        "path = [a for a in sys.argv if a.startswith('--output=')][0].partition('=')[2]\n"
        "if report is not None:\n"
        "    pathlib.Path(path).write_text(json.dumps({'dependencies': report}))\n"
        "sys.exit(1)\n"
    )
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/audit.py"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout
