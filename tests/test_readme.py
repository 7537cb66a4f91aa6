"""Every command of the README runs, word for word but for sizes."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.strip().splitlines()
]
SMALL = {
    "tf_inbetween.train": ["--steps=4", "--steps_per_epoch=2", "--pairs=2", "--validation_steps=1"],
    "tf_inbetween.evaluate": ["--pairs=2"],
    "tf_inbetween.compare": [],
    "tf_inbetween.inbetween": [],
}
SMALL["tf_inbetween.train"].append("--steps_per_execution=1")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the commands read, and an environment whose data sets lie beside it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("teapot.flags", "README.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "flags", folder / "flags")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TFDS_DATA_DIR": str(tmp_path_factory.mktemp("tfds")),
    }
    return folder, environment


def test_the_two_commands_do_all_the_set_up():
    (install_and_train,) = (line for line in COMMANDS if "[baselines]" in line)
    (install_and_test,) = (line for line in COMMANDS if "[test]" in line)
    for line in (install_and_train, install_and_test):
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -e '.[")
    assert install_and_train.endswith("-m tf_inbetween.train --flagfile=teapot.flags")
    assert install_and_test.endswith("-m pytest")


def test_every_command_of_the_readme_runs(checkout):
    folder, environment = checkout
    ran = []
    for line in COMMANDS:
        command = shlex.split(line.rpartition(" && ")[2])
        if command[:3] != [".venv/bin/python", "-m", command[2]] or command[2] == "pytest":
            continue
        module = command[2]
        result = subprocess.run(
            [sys.executable, "-m", *command[2:], *SMALL[module]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, f"{line}\n{result.stderr}"
        ran.append(module)
    assert set(ran) == set(SMALL)
    assert ran.count("tf_inbetween.train") == 3
    assert (folder / "between.gif").exists()
    assert "| 60° | 0.5 |" in (folder / "README.md").read_text()
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (folder / picture).exists(), f"no command of the README makes {picture}"


def test_every_file_that_the_readme_links_to_exists():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
