"""Every command of the README runs, word for word but for sizes."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tf_inbetween import compare

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.strip().splitlines()
]
SMALL = {
    "tf_inbetween.train": [
        *("--steps=4", "--steps_per_epoch=2", "--steps_per_execution=1", "--validation_steps=1"),
        *("--pairs=2", "--widths=8,8,8,8", "--hidden=16"),
    ],
    "tf_inbetween.evaluate": ["--pairs=2"],
    "tf_inbetween.compare": [],
    "tf_inbetween.inbetween": [],
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the commands read, and an environment with its own data sets."""
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
    assert (folder / "runs/teapot/between.gif").exists()
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run([sys.executable, "-c", snippet], cwd=folder, env=environment, check=True)
    assert "| 60° | 0.5 |" in (folder / "README.md").read_text()
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (folder / picture).exists(), f"no command of the README makes {picture}"


def lab_note(result):
    """What the head of a flag file says of its run."""
    (row,) = (row for row in result["inbetween"] if (row["gap_label"], row["t"]) == ("60°", 0.5))
    found = row["methods"]["latent"]
    reconstruction = result["reconstruction"]["test"]["mse"]
    return (
        f"# On test frames at a gap of 60°: hit rate {found['hit_rate']:.2f}, timing error "
        f"{found['timing_error_degrees']:.2f}°,\n"
        f"# MSE {1e4 * found['mse']:.2f}e-4; reconstruction {1e4 * reconstruction:.2f}e-4. "
        f"Trains for {result['train_seconds'] / 60:.1f} minutes on 2 cores.\n"
    )


def test_the_flag_files_say_what_their_runs_reached():
    results = json.loads((ROOT / "docs/results/teapot_1dof/comparison.json").read_text())
    files = ("flags/teapot_alpha0.flags", "flags/teapot_paper.flags", "teapot.flags")
    for name, result in zip(files, results.values(), strict=True):
        assert lab_note(result) in (ROOT / name).read_text(), f"{name}\n{lab_note(result)}"


def test_the_readme_has_the_table_of_the_results():
    results = json.loads((ROOT / "docs/results/teapot_1dof/comparison.json").read_text())
    assert compare.markdown_table(results, ["20°", "60°", "120°"]) in README


def test_every_file_that_the_readme_links_to_exists():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
