import functools
import json

import pytest
import tensorflow as tf

from benchmarks import cost, flops, growth, run
from benchmarks.canonical import ROOT, canonical_config
from data_gen.render import Renderer
from tf_inbetween.training import build_model

KNOWN = {
    "clips": 1000,
    "frames a clip": 36,
    "bytes of a frame": 5e4,
    "CPU s of building a frame": 0.5,
    "frames a step": 40,
    "FLOP of training a frame": 2e12,
    "CPU s of an in-between": 0.036,
    "FLOP of an in-between": 9e8,
    "times each frame is seen": 10,
    "cores": 4,
    "price of a core hour, USD": 0.1,
    "FLOP a second of one H100": 1e15,
    "share of that peak": 0.2,
}
WANTED = {
    "frames": 36_000,
    "storage, TB": 0.0018,
    "building, core hours": 5,
    "building, hours": 1.25,
    "building, USD": 0.5,
    "frames seen": 360_000,
    "training, steps": 9000,
    "training, FLOP": 7.2e17,
    "training, hours on one H100": 1,
    "a million in-betweens, core hours": 10,
    "a million in-betweens, USD": 1,
    "a million in-betweens, FLOP": 9e14,
    "a million in-betweens, hours on one H100": 0.00125,
}


def test_the_arithmetic_is_right_and_is_what_is_written_out():
    values = cost.arithmetic(KNOWN)
    assert {name: values[name] for name in cost.LINES} == pytest.approx(WANTED)
    for row in cost.written_out(values):
        numbers = row["in numbers"].replace(",", "").split(" ")
        result = float(numbers[0])
        for sign, number in zip(numbers[1::2], numbers[2::2], strict=True):
            result = result * float(number) if sign == "x" else result / float(number)
        assert result == pytest.approx(WANTED[row["result"]], rel=1e-3)
        assert float(row["makes"].replace(",", "")) == pytest.approx(result, rel=1e-3)


def test_a_larger_model_has_the_operations_of_one_of_that_size():
    config, larger = (canonical_config(image_size=size, filters=(4, 8)) for size in (64, 128))
    made = flops.training_step(growth.model_of_size(config, 128), config)
    assert made == flops.training_step(build_model(larger), larger)
    assert made > 3 * flops.training_step(build_model(config), config)


def test_a_build_s_files_hold_the_rendered_frames():
    drawn, view = cost.middle_pictures(2)
    _, frames, files = cost.building_of(drawn, view, 32)
    for picture, frame, file in zip(drawn, frames, files, strict=True):
        rendered = Renderer(view, 32).render(picture.parts, picture.light, picture.background)
        assert (frame == rendered).all()
        assert file == tf.io.encode_png(frame).numpy()


def test_the_section_is_written_with_its_inputs_measured(tmp_path, monkeypatch):
    small = functools.partial(cost.measure, image_size=64, pictures=2)
    monkeypatch.setitem(run.PARTS, "cost", small)
    output, page = tmp_path / "speed.json", tmp_path / "speed.md"
    page.write_text("before\n<!-- cost -->\n<!-- /cost -->\nafter\n")
    readme = tmp_path / "README.md"
    readme.write_text("<!-- speed -->\n<!-- /speed -->\n")
    run.measure(["cost"], 1, 0.01, str(output), [str(page)], str(readme))

    values = json.loads(output.read_text())["cost"]["values"]
    config = canonical_config(ROOT / cost.FLAG_FILE)
    model = build_model(config)
    step = flops.training_step(model, config)
    assert values["FLOP of training a frame"] * values["frames a step"] == pytest.approx(step)
    assert 0 < values["FLOP of an in-between"] < values["FLOP of training a frame"]
    assert 500 < values["bytes of a frame"] < 64 * 64 * 3
    assert 1e-4 < values["CPU s of building a frame"] < 10
    assert 1e-4 < values["CPU s of an in-between"] < 10
    assert values["frames"] == 33_000_000

    written = page.read_text()
    assert written.startswith("before\n<!-- cost -->\n")
    assert written.endswith("<!-- /cost -->\nafter\n")
    assert "\n| frames | clips x frames a clip | 1,000,000 x 33 | 33,000,000 |\n" in written
    assert "\n| cores | 64 | assumed |\n" in written
    for name in (*cost.GIVEN, *cost.LINES):
        assert f"\n| {name} | " in written
