"""Runs the commands of a page of the documentation, on few frames and with few steps."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SMALL = {
    "tf_inbetween.train": [
        *("--steps=2", "--steps_per_epoch=2", "--steps_per_execution=1", "--validation_steps=1"),
        *("--pairs=2", "--filters=8,8,8,8", "--dense_units=16"),
    ],
    "tf_inbetween.evaluate": ["--pairs=2"],
    "benchmarks.footage": ["--pairs=1"],
    "tests.film": ["--seconds=1"],
}

# Runs every command in a fork of one process that has imported TensorFlow already.
_RUN_ALL = """
import json, os, runpy, sys
import tf_inbetween.callbacks, tf_inbetween.evaluation.run
from data_gen import builder, scenes

for make in scenes.SCENES.values():
    if "clips" in make.__kwdefaults__:
        make.__kwdefaults__["clips"] = 4
make_config = builder._config

def quick(scene, *size):
    config = make_config(scene, *size)
    config.samples, config.frame_stride = 1, 5 if scene.startswith("teapot_1dof") else 1
    return config

builder._config = quick
builder.InbetweenClips.BUILDER_CONFIGS[:] = map(
    builder._named, [config.name for config in builder.InbetweenClips.BUILDER_CONFIGS]
)
for module, arguments in json.load(sys.stdin):
    child = os.fork()
    if not child:
        sys.argv = [module, *arguments]
        code = 0
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            code = stop.code
            if isinstance(code, str):
                print(module, code, file=sys.stderr)
                code = 1
        sys.stdout.flush()
        os._exit(code or 0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{module} {arguments}")
"""


def commands(page):
    """The lines of a page's bash blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


def run_all(lines, folder, page):
    """Runs lines `.venv/bin/python -m MODULE …` one after another; returns what they print.

    They run as they stand but for the flags of `SMALL`, in a folder with copies of the page and of
    the flag files. Scenes have four clips, or every fifth frame where they have one, and rays are
    few. Every --output is looked for, and a table in every section that a line writes.
    """
    copy = folder / page.relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(page.read_text())
    (folder / "flags").symlink_to(ROOT / "flags")
    asked = []
    for line in lines:
        python, dash_m, module, *arguments = shlex.split(line)
        assert (python, dash_m) == (".venv/bin/python", "-m")
        asked.append((module, [*arguments, *SMALL.get(module, [])]))
    done = subprocess.run(
        [sys.executable, "-c", _RUN_ALL],
        input=json.dumps(asked),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(folder / "tfds")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for module, arguments in asked:
        given = dict(re.findall(r"--(\w+)=(.*)", "\n".join(arguments)))
        if "output" in given:
            assert (folder / given["output"]).exists(), f"{module} made no {given['output']}"
        if module == "tf_inbetween.compare":
            section = given.get("section", "comparison")
            written = (folder / given["page"]).read_text()
            table = written.partition(f"<!-- {section} -->")[2].partition(f"<!-- /{section} -->")[0]
            for gap in given["gaps"].split(","):
                assert f"\n| {gap} | 0.5 | " in table
    return done.stdout
