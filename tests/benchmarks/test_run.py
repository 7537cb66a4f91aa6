import json
import time

import pytest

from benchmarks import growth, quality, run
from benchmarks.turns import take_turns
from tf_inbetween.clips import StoredClips
from tf_inbetween.config import InputError
from tf_inbetween.data import batches

SECTIONS = "".join(f"<!-- {part} -->\n<!-- /{part} -->\n" for part in run.PARTS)


def fake_part(turns, seconds):
    def run(steps):
        time.sleep(0.001 * steps)
        return 0.01 * steps

    rows = take_turns({"one": run, "two": run}, turns, seconds)
    return {
        "groups": {"speed of nothing": {"unit": "step", **rows}},
        "findings": {
            "a: the renderer against trimesh": {"ratio": 1.5, "quartiles": [1.4, 1.6]},
            "teapot_1dof: the renderer against trimesh": {"ratio": 2.5, "quartiles": [2, 3]},
            "steps": 3,
        },
    }


def test_parts_are_written_one_by_one_and_the_others_stay(tmp_path, monkeypatch):
    output, page, readme = (tmp_path / name for name in ("speed.json", "speed.md", "README.md"))
    page.write_text(SECTIONS)
    readme.write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n")
    monkeypatch.setitem(run.PARTS, "roof", fake_part)
    monkeypatch.setitem(run.PARTS, "input", fake_part)
    run.measure(["roof"], 1, 0.001, str(output), [str(page)], str(readme))
    run.measure(["input"], 2, 0.001, str(output), [str(page)], str(readme))
    results = json.loads(output.read_text())
    assert [results[part]["turns"] for part in ("roof", "input")] == [1, 2]
    assert page.read_text().count("| one | ") == 2
    assert page.read_text().count("- a: the renderer against trimesh: 1.5 (1.4 to 1.6)") == 2
    assert results["roof"]["environment"]["packages"]["tensorflow"]
    said = readme.read_text()
    assert said.startswith("before\n<!-- speed -->\n| | ratio (quartiles) |\n")
    assert said.count("| rendering, against trimesh | 2.5 (2 to 3) |") == 2
    assert "1.5" not in said
    assert "steps" not in said
    assert "old" not in said
    assert said.endswith("<!-- /speed -->\nafter\n")


def test_bad_input_is_one_line_before_anything_is_measured(tmp_path):
    page = tmp_path / "speed.md"
    page.write_text("nothing")
    with pytest.raises(InputError, match="unknown part of --only 'speed'"):
        run.measure(["speed"], 1, 1, "", [], str(page))
    with pytest.raises(InputError, match="has no lines <!-- roof -->"):
        run.measure(["roof"], 1, 1, "", [str(page)], str(page))
    page.write_text(SECTIONS)
    with pytest.raises(InputError, match="has no lines <!-- speed -->"):
        run.measure(["roof"], 1, 1, "", [str(page)], str(page))
    page.write_text(f"{SECTIONS}<!-- speed -->\n<!-- /speed -->\n")
    with pytest.raises(InputError, match="is not JSON"):
        run.measure(["roof"], 1, 1, str(page), [str(page)], str(page))


def test_the_page_has_a_section_for_every_part():
    from benchmarks.canonical import ROOT
    from frame_io.files import check_section

    for part in run.PARTS:
        check_section(ROOT / "docs" / "speed.md", part)
    check_section(ROOT / "docs" / "speed.md", "speed")


def test_the_summary_has_its_headlines_of_the_results_and_nothing_else():
    from benchmarks.canonical import ROOT

    results = json.loads((ROOT / "docs/results/speed.json").read_text())
    table = run.summary(results)
    for head in (
        "| one training step, float32, against the fastest of PyTorch (",
        "| triplets a second in training, against the paper's program in PyTorch",
        "| 30 frames between two of 64 x 64, against DIS optical flow |",
        "| rendering, against trimesh |",
        "| time to the same quality, as a share of that of the paper's program in PyTorch |",
    ):
        assert table.count(head) == 1
    assert len(table.splitlines()) == 7
    assert table in (ROOT / "docs/speed.md").read_text()


class FakeChild:
    """A program whose error falls with its steps, on a fake clock."""

    def __init__(self, clock, seconds, steps_to_bar):
        self.facts = {"train": {"steps": 10}, "judge": {}}
        self.values, self._clock = {}, clock
        self._seconds, self._needed, self._done = seconds, steps_to_bar, 0

    def run(self, name, calls):
        if name == "judge":
            self._clock[0] += 1000.0
            self.values["judge"] = self._needed / max(self._done, 1)
        else:
            self._done += 10 * calls
            self._clock[0] += self._seconds * calls


@pytest.mark.parametrize(("needed", "reached"), [(2000, True), (10**6, False)])
def test_a_race_times_steps_alone_and_ends(needed, reached):
    clock = [0.0]
    programs = {"ours": FakeChild(clock, 1.0, 1000), "theirs": FakeChild(clock, 1.0, needed)}
    result = quality.race(programs, 1.0, 3000, 200, clock=lambda: clock[0])
    assert result["ours"]["reached"]
    assert result["ours"]["seconds"] == pytest.approx(100, abs=1)
    assert result["theirs"]["reached"] == reached
    assert result["theirs"]["seconds"] == pytest.approx(200 if reached else 500, rel=0.1)
    share = quality._share(result)
    assert share == pytest.approx(0.5, abs=0.05) if reached else share.startswith("less than 0.2 ")


def test_one_file_stands_for_many(stored, tmp_path, tiny_config, monkeypatch):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(growth, "prepare", lambda _: stored)
    growth.write_clips(tmp_path / "few", 3)
    growth.repeat_file(tmp_path / "few", tmp_path / "many", 4)
    many = StoredClips(tfds.builder_from_directory(tmp_path / "many"))
    assert many.splits["train"] == 12
    config = tiny_config(cache="none")
    batch = next(iter(batches(many, "train", config)))
    assert batch["frames"].shape == (12, 64, 64, 3)
