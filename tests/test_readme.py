"""What the README and docs/serving.md tell to run does: word for word but for sizes and ports."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from page_commands import ROOT, commands

from tf_inbetween.evaluation import comparison as compare

README = (ROOT / "README.md").read_text()
SERVING = (ROOT / "docs" / "serving.md").read_text()
COMMANDS = commands(README)
RESULTS = commands(README.partition("\n## Results\n")[2].partition("\n## ")[0])
SMALL = {
    "tf_inbetween.train": [
        *("--steps=4", "--steps_per_epoch=2", "--steps_per_execution=1", "--validation_steps=1"),
        *("--pairs=2", "--filters=8,8,8,8", "--dense_units=16"),
    ],
    "tf_inbetween.evaluate": ["--pairs=2"],
    "tf_inbetween.compare": [],
    "tf_inbetween.inbetween": [],
    "export.saved_model": [],
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the commands read, and an environment with its own data sets."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("teapot.flags", "README.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "flags", folder / "flags")
    (folder / "docs").mkdir()
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


def run(line, folder, environment, more=()):
    """Runs a page's line `.venv/bin/python -m MODULE …` in `folder`; returns the module."""
    command = shlex.split(line)
    result = subprocess.run(
        [sys.executable, *command[1:], *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, f"{line}\n{result.stderr}"
    return command[2]


def module_of(line):
    """The module of a line `.venv/bin/python -m MODULE …`; None for another command."""
    match = re.match(r"\.venv/bin/python -m ([\w.]+)", line.rpartition(" && ")[2])
    return match[1] if match and match[1] != "pytest" else None


def run_all(lines, folder, environment):
    """Runs the lines of Python; returns their modules. The server runs with its own page, below."""
    modules = {line: module_of(line) for line in lines}
    return [
        run(line.rpartition(" && ")[2], folder, environment, SMALL[module])
        for line, module in modules.items()
        if module and module != "export.serve"
    ]


def test_every_command_that_uses_the_package_runs(checkout):
    folder, environment = checkout
    ran = run_all([line for line in COMMANDS if line not in RESULTS], folder, environment)
    assert set(ran) == set(SMALL) - {"tf_inbetween.compare"}
    assert ran.count("tf_inbetween.train") == 1
    assert (folder / "runs/teapot/between.gif").exists()
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run([sys.executable, "-c", snippet], cwd=folder, env=environment, check=True)


@pytest.mark.slow
def test_every_command_that_made_the_results_runs(checkout):
    folder, environment = checkout
    if not (folder / "runs/teapot").exists():
        run_all([line for line in COMMANDS if line not in RESULTS], folder, environment)
    ran = run_all(RESULTS, folder, environment)
    assert sorted(ran) == ["tf_inbetween.compare"] * 2 + ["tf_inbetween.train"] * 3
    assert re.search(r"\n\| ours \(\d+\.\d min\) \| ", (folder / "README.md").read_text())
    others = [(ROOT / f"docs/{page}.md").read_text() for page in ("scenes", "own_clips")]
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        if any(picture.removeprefix("docs/") in page for page in others):
            continue  # The commands that make it are there.
        assert (folder / picture).exists(), f"no command of the README makes {picture}"


@pytest.fixture(scope="module")
def serving(checkout):
    """Runs the page's server on free ports: folder, environment, page, the flag that names it."""
    folder, environment = checkout
    (serve,) = (line for line in commands(SERVING) if module_of(line) == "export.serve")
    assert serve in COMMANDS, "the README has another line for the server"
    ports = ["--rest_api_port=0", "--port=0"]
    process = subprocess.Popen(
        [sys.executable, *shlex.split(serve)[1:], *ports],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = "".join(itertools.takewhile(lambda line: "page" not in line, process.stdout))
        (rest,) = re.findall(r"REST http://127.0.0.1:(\d+)/v1/models/teapot", said)
        (rpc,) = re.findall(r"gRPC 127.0.0.1:(\d+)", said)
        page = SERVING.replace("8501", rest).replace("8500", rpc)
        yield folder, environment, page, f"--server=http://127.0.0.1:{rest}"
    finally:
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_what_the_serving_page_asks_is_answered(serving):
    folder, environment, page, rest = serving
    asked = 0
    for line in commands(page):
        if module_of(line) == "export.client":
            run(line, folder, environment, [] if "--server" in line else [rest])
        elif line.startswith("curl"):
            said = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, check=True)
            written = re.search(r" -o (\S+)", line)
            answer = json.loads((folder / written[1]).read_text() if written else said.stdout)
            assert "error" not in answer, f"{line}\n{answer}"
            assert len(answer) == 1
            asked += 1
    assert asked == page.count("\ncurl") == 3
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    subprocess.run([sys.executable, "-c", snippet], cwd=folder, env=environment, check=True)
    for name, start in (
        ("served.gif", b"GIF89a"),
        ("served.mp4", b"\0\0\0"),
        ("served.png", b"\x89PNG"),
    ):
        assert (folder / "runs/teapot" / name).read_bytes().startswith(start)


@pytest.mark.slow
def test_the_measurements_of_the_serving_page_run(serving):
    folder, environment, page, _ = serving
    (folder / "docs" / "serving.md").write_text(page)
    for line in commands(page):
        module = module_of(line) or ""
        if module.startswith("benchmarks."):
            small = ["--seconds=2", "--turns=2", "--clients=4"] * (module == "benchmarks.serving")
            run(line, folder, environment, small)
    written = (folder / "docs" / "serving.md").read_text()
    assert "| REST, 4 clients |" in written
    assert "| white noise |" in written


def lab_note(result, gap="60°"):
    """What the head of a flag file says of its run."""
    (row,) = (row for row in result["inbetween"] if (row["gap_label"], row["t"]) == (gap, 0.5))
    latent = row["methods"]["latent"]
    reconstruction = result["reconstruction"]["test"]["mse"]
    return (
        f"# On test frames at a gap of {gap}: hit rate {latent['hit_rate']:.2f}, timing error "
        f"{latent['timing_error_degrees']:.2f}°,\n"
        f"# MSE {1e4 * latent['mse']:.2f}e-4; reconstruction {1e4 * reconstruction:.2f}e-4. "
        f"Trains for {result['train_seconds'] / 60:.1f} minutes on 2 cores.\n"
    )


def test_the_flag_files_say_what_their_runs_reached():
    results = json.loads((ROOT / "docs/results/teapot_1dof/comparison.json").read_text())
    files = ("flags/teapot_alpha0.flags", "flags/teapot_paper.flags", "teapot.flags")
    for name, result in zip(files, results.values(), strict=True):
        assert lab_note(result) in (ROOT / name).read_text(), f"{name}\n{lab_note(result)}"


def test_the_best_recipe_is_the_study_s_and_its_flag_file_says_what_it_reached():
    runs = json.loads((ROOT / "docs/results/study.json").read_text())["runs"]
    name = "teapot,inbetween_weight=8,latent_path=curved,max_gap=140,steps=4000,seed=0 (test)"
    text = (ROOT / "flags/teapot_best.flags").read_text()
    assert lab_note(runs[name]["metrics"], "120°") in text, lab_note(runs[name]["metrics"], "120°")
    given = {line for line in runs[name]["command"].split() if line.startswith("--")}
    given = {flag for flag in given if not flag.startswith(("--seed=", "--run_dir="))}
    written = {line for line in text.splitlines() if line.startswith("--")}
    assert {flag for flag in written if not flag.startswith("--run_dir=")} == given


def test_the_readme_has_the_table_of_the_results():
    results = json.loads((ROOT / "docs/results/teapot_1dof/comparison.json").read_text())
    (line,) = (line for line in RESULTS if "--page=README.md" in line)
    labels = [word.partition("=")[2] for word in shlex.split(line) if word.startswith("--label=")]
    results = dict(zip(labels, results.values(), strict=True))
    table = compare.brief_table(results, ["20°", "60°", "120°"])
    assert f"<!-- comparison -->\n{table}<!-- /comparison -->" in README


def test_the_readme_is_short():
    text = re.sub(r"```.*?```|^    .*?$", "", README, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\]\(.*?\)", "]", text)
    assert len(text.split()) <= 800


def test_the_serving_page_has_the_tables_of_the_results():
    from benchmarks import confidence, serving

    results = json.loads((ROOT / "docs/results/serving.json").read_text())
    assert serving.markdown_table(results) in SERVING
    results = json.loads((ROOT / "docs/results/teapot_1dof/confidence.json").read_text())
    assert confidence.markdown_table(results["pictures"]) in SERVING


PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/results").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_section_that_a_page_links_to_exists(page):
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text()):
        path = page.parent / link if link else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), f"{link}#{anchor}"


def test_the_index_of_the_docs_has_every_page():
    index = (ROOT / "docs/README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def anchors(page):
    """What GitHub calls the sections of a page."""
    titles = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    titles = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title) for title in titles]
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
