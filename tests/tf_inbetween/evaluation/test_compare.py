"""The comparison of runs: its names, its table, its pictures, and what it refuses to compare."""

import copy
import json
import shutil

import pytest

from frame_io.files import write_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.config import Config, InputError
from tf_inbetween.evaluation import baselines
from tf_inbetween.evaluation import comparison as compare
from tf_inbetween.evaluation.run import evaluate

GAPS = ("20°", "60°", "120°")


def metrics(mse=1e-4, gaps=GAPS, methods=("latent", *baselines.METHODS)):
    """What metrics.json might hold."""
    measures = {
        name: {
            "mse": mse if name == "latent" else 2e-3,
            "timing_error": 1.0,
            "timing_error_degrees": 0.5,
            "hit_rate": 0.75,
        }
        for name in methods
    }
    return {
        "split": "test",
        "train_seconds": 90.0,
        "total_seconds": None,
        "reconstruction": {"test": {"mse": 3e-4}},
        "inbetween": [
            {"gap": 40, "gap_label": gap, "t": t, "pairs": 5, "methods": copy.deepcopy(measures)}
            for gap in gaps
            for t in (0.25, 0.5, 0.75)
        ],
    }


@pytest.fixture
def make_run(tmp_path):
    """Makes a run directory with flags and metrics, but no model."""

    def make(name, content, **settings):
        config = Config(run_dir=str(tmp_path / name), **settings)
        run_directory.start(config, "float32")
        write_checked_json(tmp_path / name / "metrics.json", content)
        return config.run_dir

    return make


def refused(tmp_path, runs, gaps=GAPS):
    """The message of the `InputError` that comparing raises; nothing is written."""
    with pytest.raises(InputError) as error:
        compare.compare(runs, tmp_path / "out", [], gaps)
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_names_say_which_terms_are_on():
    def name(**settings):
        (name,) = compare.names_of([Config(**settings)])
        return name

    assert name(alpha=0.0, inbetween_weight=0.0) == "alpha 0 (plain VAE)"
    assert name(alpha=5.0, inbetween_weight=0.0) == "alpha 5 (averaged)"
    assert name(alpha=0.0, inbetween_weight=1.0) == "in-between likelihood 1"
    assert (
        name(alpha=0.5, inbetween_weight=2.0, matching="mixture")
        == "alpha 0.5 (mixture), in-between likelihood 2"
    )


def test_names_say_what_else_differs_where_the_terms_do_not():
    plain = {"alpha": 0.0, "inbetween_weight": 0.0}
    configs = [
        Config(run_dir="a", **plain, seed=0),
        Config(run_dir="b", **plain, seed=1, filters=(8, 16), data_dir="elsewhere"),
        Config(run_dir="c", alpha=5.0),
        Config(run_dir="d", **plain, seed=1, filters=(8, 16)),
    ]
    assert compare.names_of(configs) == [
        "alpha 0 (plain VAE), seed 0, filters 32-64-128-256, a",
        "alpha 0 (plain VAE), seed 1, filters 8-16, b",
        "alpha 5 (averaged), in-between likelihood 1",
        "alpha 0 (plain VAE), seed 1, filters 8-16, d",
    ]
    assert compare.names_of(configs[:3])[:2] == [
        "alpha 0 (plain VAE), seed 0, filters 32-64-128-256",
        "alpha 0 (plain VAE), seed 1, filters 8-16",
    ]
    with pytest.raises(InputError, match=r"the same run twice \(alpha 0 \(plain VAE\), b\)"):
        compare.names_of([configs[1], Config(run_dir="b/", **plain, seed=1, filters=(8, 16))])


@pytest.mark.parametrize(
    ("gaps", "rows"),
    [
        (["60°"], ["60° | 0.25", "60° | 0.5", "60° | 0.75"]),
        (["20°", "60°"], ["20° | 0.5", "60° | 0.25", "60° | 0.5", "60° | 0.75"]),
        (
            ["20°", "60°", "120°"],
            ["20° | 0.5", "60° | 0.25", "60° | 0.5", "60° | 0.75", "120° | 0.5"],
        ),
    ],
)
def test_the_middle_gap_has_rows_at_the_quarters(gaps, rows):
    table = compare.markdown_table({"a": metrics(), "b": metrics(5e-4)}, gaps)
    assert table.startswith("In each cell: hit rate, timing error, MSE x 1e4.\n\n")
    lines = table.splitlines()[2:]
    assert lines[0] == "| gap | t | a | b | optical flow | cross-fade |"
    pixel = "0.75, 0.50°, 20.00"
    runs = "0.75, 0.50°, 1.00 | 0.75, 0.50°, 5.00"
    expected = [f"| {row} | {runs} | {pixel} | {pixel} |" for row in rows]
    assert lines[2:-3] == expected
    assert lines[-3:] == [
        "| reconstruction, MSE x 1e4 | | 3.00 | 3.00 |  |  |",
        "| training, minutes | | 1.5 | 1.5 |  |  |",
        "| whole command, minutes | | - | - |  |  |",
    ]
    assert len({line.count("|") for line in lines}) == 1


def test_a_cell_has_the_detail_where_it_was_measured():
    """Records of before there was a detail have none; with one that has, they say so."""
    new = metrics(methods=("latent", "crossfade"))
    for row in new["inbetween"]:
        row["methods"]["latent"]["detail"] = 0.625
        row["methods"]["crossfade"]["detail"] = 0.5
    before = "0.75, 0.50°, 1.00"
    table = compare.markdown_table({"new": new}, ["60°"])
    assert table.startswith("In each cell: hit rate, timing error, MSE x 1e4, detail.\n\n")
    assert f"| 60° | 0.5 | {before}, 0.62 | 0.75, 0.50°, 20.00, 0.50 |" in table
    table = compare.markdown_table({"old": metrics(methods=("latent",)), "new": new}, ["60°"])
    assert f"| 60° | 0.5 | {before}, - | {before}, 0.62 | 0.75, 0.50°, 20.00, 0.50 |" in table


def test_a_brief_table_has_a_row_for_each_method_and_a_column_for_each_gap():
    results = {"a": metrics(), "b": metrics(methods=("latent", "crossfade"))}
    results["b"]["train_seconds"] = None
    results["a"]["inbetween"][4]["methods"]["latent"]["hit_rate"] = 0.5  # 60° at t = 1/2
    assert compare.brief_table(results, ["60°", "20°"]) == (
        "In each cell: hit rate, timing error.\n\n"
        "| | 60° | 20° |\n"
        "| --- | --- | --- |\n"
        "| a (1.5 min) | 0.50, 0.50° | 0.75, 0.50° |\n"
        "| b (- min) | 0.75, 0.50° | 0.75, 0.50° |\n"
        "| optical flow | 0.75, 0.50° | 0.75, 0.50° |\n"
        "| cross-fade | 0.75, 0.50° | 0.75, 0.50° |\n"
    )


@pytest.mark.parametrize("table", [compare.markdown_table, compare.brief_table])
@pytest.mark.parametrize("gaps", [["7°"], []])
def test_unknown_gaps_list_the_valid_ones(gaps, table):
    with pytest.raises(InputError, match=r"--gaps=.*: must be among 20°,60°,120°"):
        table({"a": metrics()}, gaps)


def test_a_table_is_written_again_from_the_record(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- comparison -->\nold\n<!-- /comparison -->\n")

    def message(**settings):
        with pytest.raises(InputError) as error:
            compare.rewrite(tmp_path, [page], GAPS, **settings)
        assert "old" in page.read_text()
        return str(error.value)

    path = tmp_path / "comparison.json"
    assert message() == f"{path}: missing or damaged; give --run_dir"
    for damaged in ("no JSON", "{}", "[]", '{"a": {"inbetween": []}}'):
        path.write_text(damaged)
        assert message() == f"{path}: missing or damaged; give --run_dir"
    path.write_text(json.dumps({"a": metrics(), "b": metrics()}))
    assert message(labels=["ours"]) == "--label: 1 given for 2 runs"
    assert message(labels=["ours", "ours"]) == "--label: must differ from each other"
    compare.rewrite(tmp_path, [page], GAPS, labels=["plain", "ours"], brief=True)
    table = compare.brief_table({"plain": metrics(), "ours": metrics()}, GAPS)
    assert page.read_text() == f"<!-- comparison -->\n{table}<!-- /comparison -->\n"


def test_optical_flow_is_left_out_where_no_run_has_it_and_taken_from_the_one_that_has():
    without = metrics(methods=("latent", "crossfade", "nearest_frame"))
    assert "optical flow" not in compare.markdown_table({"a": without}, GAPS)
    assert "| a | b | optical flow |" in compare.markdown_table(
        {"a": without, "b": metrics()}, GAPS
    )


def test_runs_that_differ_in_more_than_the_model_are_refused(make_run, tmp_path):
    first = make_run("first", metrics())

    def message(name, content, **settings):
        return refused(tmp_path, [first, make_run(name, content, **settings)])

    start = "--run_dir: the runs differ in"
    where = f"in {tmp_path}/first,"
    assert message("grey", metrics(), channels=1).startswith(f"{start} --channels: 3 {where} 1 in")
    assert message("large", metrics(), image_size=128).startswith(
        f"{start} --image_size: 64 {where}"
    )
    pairs = metrics()
    pairs["inbetween"][0]["pairs"] = 200
    assert message("pairs", pairs).startswith(f"{start} pairs of frames in each row")
    rows = metrics(gaps=("20°", "60°"))
    assert message("rows", rows).startswith(f"{start} rows of metrics.json: 20° at t = 0.25,")
    flow = metrics()
    flow["inbetween"][4]["methods"]["optical_flow"]["mse"] = 1e-3
    assert message("flow", flow) == (
        f"{start} MSE of optical flow at 60°, t = 0.5: 0.002 {where} 0.001 in {tmp_path}/flow"
    )
    assert "the same run twice" in refused(tmp_path, [first, first])


def test_metrics_of_another_split_or_damaged_ones_are_refused(make_run, tmp_path):
    validation = make_run("validation", {**metrics(), "split": "validation"})
    assert refused(tmp_path, [validation]) == (
        f"{validation}/metrics.json: measured on 'validation', not on 'test'; "
        f"python -m tf_inbetween.evaluate --run_dir={validation}"
    )
    with pytest.raises(InputError, match=r"metrics\.heldout\.json: missing .* --split=heldout$"):
        compare.compare([validation], tmp_path / "out", [], ["60°"], split="heldout")
    no_number = metrics()
    no_number["inbetween"][0]["methods"]["latent"]["detail"] = None
    for damaged in ({}, {"split": "test"}, {**metrics(), "inbetween": [{}]}, no_number):
        run = make_run("damaged", damaged)
        assert "metrics.json: missing or damaged; python -m" in refused(tmp_path, [run])
    (tmp_path / "damaged" / "metrics.json").write_text("[]")
    assert "metrics.json: missing or damaged; python -m" in refused(tmp_path, [run])
    (tmp_path / "damaged" / "metrics.json").unlink()
    assert "metrics.json: missing or damaged; python -m" in refused(tmp_path, [run])


@pytest.mark.parametrize("section", ["", "a b", "-->", "/comparison", "one\ntwo"])
def test_names_of_sections_that_no_page_can_have(make_run, tmp_path, section):
    run = make_run("run", metrics())
    with pytest.raises(InputError, match="only letters, digits, '_' and '-'") as error:
        compare.compare([run], tmp_path / "out", [], GAPS, section=section)
    assert str(error.value).startswith("--section=")


def test_a_single_run_with_gaps_in_frames():
    in_frames = metrics(gaps=("8 frames", "16 frames"))
    for row in in_frames["inbetween"]:
        for measures in row["methods"].values():
            del measures["timing_error_degrees"]
    lines = compare.markdown_table({"a": in_frames}, ["8 frames", "16 frames"]).splitlines()
    assert lines[2] == "| gap | t | a | optical flow | cross-fade |"
    pixel = "0.75, 1.00 frames, 20.00"
    assert lines[4] == f"| 8 frames | 0.5 | 0.75, 1.00 frames, 1.00 | {pixel} | {pixel} |"
    with pytest.raises(InputError, match=r"must be among 8 frames,16 frames$"):
        compare.markdown_table({"a": in_frames}, ["20°"])


def test_comparing_runs_writes_the_table_into_the_page(
    tiny_config, tiny_data, tmp_path, monkeypatch
):
    monkeypatch.setattr("tf_inbetween.evaluation.comparison.prepare", lambda *_: tiny_data)
    # Without OpenCV throughout: neither measured nor drawn.
    without = {name: baselines.METHODS[name] for name in ("crossfade", "nearest_frame")}
    monkeypatch.setattr(baselines, "available", lambda: without)
    config = tiny_config(run_dir=str(tmp_path / "ours"), steps=2)
    training.train(config)
    evaluate(config.run_dir, pairs=2)
    shutil.copytree(tmp_path / "ours", tmp_path / "vae")
    flags = tmp_path / "vae" / "flags.txt"
    text = flags.read_text().replace("--alpha=1.0\n", "--alpha=0.0\n")
    flags.write_text(text.replace("--inbetween_weight=1.0\n", "--inbetween_weight=0.0\n"))
    runs = [tmp_path / "vae", tmp_path / "ours"]
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- comparison -->\nold\n<!-- /comparison -->\nbelow\n")
    output = tmp_path / "out"
    compare.compare(runs, output, [page], GAPS)
    text = page.read_text()
    says = "In each cell: hit rate, timing error, MSE x 1e4, detail."
    assert text.startswith(f"above\n<!-- comparison -->\n{says}\n")
    heads = "alpha 0 (plain VAE) | alpha 1 (averaged), in-between likelihood 1 | cross-fade"
    assert f"\n| gap | t | {heads} |\n" in text
    assert text.endswith("<!-- /comparison -->\nbelow\n")
    assert "old" not in text
    assert text.count("| 60° |") == 3
    assert text.count("| 20° |") == text.count("| 120° |") == 1
    assert {path.name for path in output.iterdir()} == {
        "comparison.json",
        "inbetween.png",
        "path.png",
    }
    assert json.loads((output / "comparison.json").read_text()).keys() == set(
        compare.names_of([run_directory.load_config(run) for run in runs])
    )

    before = page.read_text()
    with pytest.raises(InputError, match="--gaps=7°: must be among"):
        compare.compare(runs, output, [page], ["7°"])
    assert page.read_text() == before
    page.write_text("nothing here")
    with pytest.raises(InputError, match="has no lines <!-- comparison -->"):
        compare.compare(runs, output, [page], GAPS)

    # A single run, into one of two sections.
    page.write_text(f"{before}<!-- teapot-2 -->\n<!-- /teapot-2 -->\nend\n")
    compare.compare(runs[1:], tmp_path / "one", [page], GAPS[:1], section="teapot-2")
    assert page.read_text().startswith(before)
    added = page.read_text().removeprefix(before)
    assert "\n| gap | t | this model | cross-fade |\n" in added
    assert added.count("| 20° |") == 3
    assert added.endswith("<!-- /teapot-2 -->\nend\n")
    assert (tmp_path / "one" / "path.png").exists()
