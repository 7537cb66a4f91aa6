"""The commands of docs/own_clips.md run word for word, on few frames and with few steps."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "own_clips.md").read_text()
SMALL_TRAINING = [
    *("--steps=2", "--steps_per_epoch=2", "--steps_per_execution=1", "--validation_steps=1"),
    *("--pairs=2", "--widths=8,8,8,8", "--hidden=16"),
]

# Runs every command in a fork of one process that has imported TensorFlow already.
RUN_ALL = """
import json, os, runpy, sys
import tf_inbetween.callbacks, tf_inbetween.evaluate
from data_gen import builder

for config in builder.InbetweenClips.BUILDER_CONFIGS:
    config.frame_stride, config.samples = 5, 1
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


def test_every_command_of_the_page_runs(tmp_path):
    pytest.importorskip("av")
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.strip().splitlines()]
    assert lines.pop(0) == ".venv/bin/pip install -e '.[video,baselines]'"
    asked = []
    for line in lines:
        python, dash_m, module, *arguments = shlex.split(line)
        assert (python, dash_m) == (".venv/bin/python", "-m")
        small = SMALL_TRAINING if module == "tf_inbetween.train" else []
        asked.append((module, [*arguments, *small]))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "own_clips.md").write_text(PAGE)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=json.dumps(asked),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(tmp_path / "tfds")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = tmp_path / "runs"
    assert "wrote runs/turn.mp4: 432 frames" in done.stdout
    assert "contact_sheet.png" in done.stdout
    for name, start in (("turn/between.gif", b"GIF89a"), ("turn/slow.mp4", b"\0\0\0")):
        assert (runs / name).read_bytes().startswith(start)
    with PIL.Image.open(tmp_path / "docs/results/own_clips/strip.png") as strip:
        assert strip.size == (11 * 64, 64)
    written = (tmp_path / "docs" / "own_clips.md").read_text()
    assert "\n| 8 frames | 0.5 | " in written
    assert "\n| 60 frames | 0.5 | " in written
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (tmp_path / "docs" / picture).exists(), f"no command of the page makes {picture}"


def test_every_file_that_the_page_links_to_exists():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
