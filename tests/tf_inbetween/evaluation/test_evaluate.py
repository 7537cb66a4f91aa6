"""metrics.json and the figures, and that a perfect method scores perfectly."""

import dataclasses
import functools
import json
import re
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frame_io.files import read_checked_json, write_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.clips import Clip, ClipInfo
from tf_inbetween.config import InputError
from tf_inbetween.distributions import gaussian
from tf_inbetween.evaluation import baselines, figures, judge
from tf_inbetween.evaluation import comparison as compare
from tf_inbetween.evaluation import methods as method_table
from tf_inbetween.evaluation import pairs as pair_choice
from tf_inbetween.evaluation import run as evaluation_run
from tf_inbetween.evaluation.run import evaluate
from tf_inbetween.matching import MATCHINGS
from tf_inbetween.models import TripletVAE, to_float


@pytest.fixture
def clips(stored):
    return stored.load("test")


def reader(clips):
    return lambda numbers: (clips[number] for number in numbers)


def oracle(clip):
    """A method that knows the truth: it finds both ends in the clip and returns what lies there."""
    frames = clip.frames / np.float32(255)
    flat = frames.reshape(len(frames), -1)

    def draw(first, second, t):
        starts, ends = (
            np.array([np.abs(flat - end.reshape(-1)).sum(axis=1).argmin() for end in batch])
            for batch in (first, second)
        )
        gap = (ends - starts) % len(frames)
        return frames[(starts + np.rint(gap * t).astype(int)) % len(frames)]

    return draw


def test_a_perfect_method_is_perfect_and_a_useless_one_is_not(clips):
    methods = {"oracle": oracle(clips[0]), "first": lambda first, second, t: first}
    rows = judge.inbetween(methods, clips, reader(clips), [40, 120], pairs=9, unit="°")
    assert [(row["gap_label"], row["t"]) for row in rows] == [
        (label, t) for label in ("40°", "120°") for t in (0.25, 0.5, 0.75)
    ]
    for row in rows:
        assert row["gap"] * 5 == float(row["gap_label"][:-1])
        best, worst = row["methods"]["oracle"], row["methods"]["first"]
        assert best["mse"] == best["timing_error"] == best["timing_error_degrees"] == 0
        assert best["hit_rate"] == 1
        assert best["psnr"] == 100
        assert best["ssim"] == pytest.approx(1)
        assert best["detail"] == pytest.approx(1)
        assert 0 < worst["detail"] < 0.95
        assert worst["timing_error"] == pytest.approx(row["gap"] * row["t"])
        assert worst["timing_error_degrees"] == pytest.approx(5 * worst["timing_error"])
        assert worst["hit_rate"] == 0


def test_latent_geometry_of_known_posteriors():
    """q0, q1 and q2 in two dimensions: ends at -d and d, q1 in the middle, then off it by 3/2."""
    q0, q2 = (gaussian(np.float32([[d, 0]] * 2), np.ones((2, 2), np.float32)) for d in (-2, 2))
    q1 = gaussian(np.float32([[0, 0], [0, 1.5]]), np.ones((2, 2), np.float32))
    geometry = judge.latent_geometry(q0, q1, q2, np.full(2, 0.5, np.float32))
    assert geometry.keys() == {"chord_deviation", *(f"kl_{name}" for name in MATCHINGS)}
    np.testing.assert_allclose(geometry["chord_deviation"], [0, np.sqrt(1.5**2 / 2)], rtol=1e-6)
    np.testing.assert_allclose(geometry["kl_averaged"], [0, 1.5**2 / 2], atol=1e-6)
    np.testing.assert_allclose(geometry["kl_upper_bound"], [2, 2 + 1.5**2 / 2], rtol=1e-6)
    moment_matched = (np.log(5) + 1 / 5 - 1) / 2
    np.testing.assert_allclose(
        geometry["kl_moment_matched"], [moment_matched, moment_matched + 1.5**2 / 2], rtol=1e-5
    )
    np.testing.assert_allclose(geometry["kl_mixture"][0], 0.943, atol=0.5)  # 64 draws


def test_rows_have_the_mean_geometry_of_their_pairs(clips):
    """Posteriors on a line are on every chord; one that leaves it is off it by a known way."""
    frames = to_float(clips[0].frames).numpy()
    at = {frame.tobytes(): place for place, frame in enumerate(frames)}

    def encode(batch, bend=0.0):
        places = np.float32([at[frame.tobytes()] for frame in batch])
        mean = np.stack([places, bend * places**2], axis=1)
        return gaussian(mean, np.full_like(mean, 0.5))

    opened = dataclasses.replace(clips[0], cyclic=False)
    for bend in (0.0, 0.01):
        (_, half, _), (_, long_half, _) = (
            judge.inbetween(
                {"first": lambda first, second, t: first},
                [opened],
                reader([opened]),
                [gap],
                pairs=9,
                unit="°",
                encode=functools.partial(encode, bend=bend),
            )
            for gap in (40, 120)
        )
        # A parabola bend x^2 lies bend (gap / 2)^2 below its chord's middle, at any place.
        for row in (half, long_half):
            chord_deviation = bend * (row["gap"] / 2) ** 2 / 0.5 / np.sqrt(2)
            geometry = row["latent_geometry"]
            assert geometry["chord_deviation"] == pytest.approx(chord_deviation, abs=2e-4)
            # KL of equal spreads: half of the squared distance in them, here chord_deviation^2.
            assert geometry["kl_averaged"] == pytest.approx(chord_deviation**2, abs=1e-3)


def test_gaps_have_frames_at_the_quarters(clips):
    for gap, frames in ((10, 4), (20, 4), (60, 12), (120, 24)):
        assert pair_choice.gap_in_frames(gap, clips[0]) == frames


def test_pairs_are_spread_over_all_clips_and_stay_inside_open_ones():
    def clip(length, cyclic):
        return Clip("c", np.zeros((length, 1, 1, 1)), np.zeros((length, 1)), cyclic, 1.0)

    clips = [clip(20, False), clip(9, False), clip(30, True)]
    for pairs in (38, 1000):
        starts = pair_choice.spread(clips, gap=12, pairs=pairs)
        assert sorted(starts) == [0, 2]
        np.testing.assert_array_equal(starts[0], np.arange(8))
        np.testing.assert_array_equal(starts[2], np.arange(30))
    few = pair_choice.spread(clips, gap=12, pairs=4)
    assert sum(len(starts) for starts in few.values()) == 4


def test_a_closed_clip_is_gone_round_once_at_most():
    for cyclic, expected in ((True, [9, 9, 0, 0]), (False, [5, 1, 0, 0])):
        clip_info = ClipInfo(9, cyclic, 1.0)
        assert [pair_choice.clip_starts(clip_info, gap) for gap in (4, 8, 9, 12)] == expected


def test_clips_of_different_pace_are_an_error(clips):
    other = dataclasses.replace(clips[0], units_per_frame=2.0)
    with pytest.raises(InputError, match=r"differ in pace \(2 and 5\)"):
        pair_choice.fitting_gaps([clips[0], other], [40])


@pytest.mark.parametrize(
    ("lengths", "cyclic", "message"),
    [
        ([4, 8, 1], False, "no clip is long enough for a gap of 8 frames: the longest has 8"),
        ([1], True, "no clip is long enough for a gap of 8 frames: the longest has 1"),
        ([], False, "there are no clips to judge"),
    ],
)
def test_clips_too_short_for_every_gap_are_an_error(lengths, cyclic, message):
    with pytest.raises(InputError, match=message):
        pair_choice.fitting_gaps([ClipInfo(length, cyclic, 1.0) for length in lengths], [8, 16])


def test_gaps_are_judged_where_a_clip_has_them():
    clip_infos = [ClipInfo(length, False, 1.0) for length in (1, 9, 5, 17)]
    assert pair_choice.fitting_gaps(clip_infos, [4, 5, 8, 16, 20]) == [4, 8, 16]
    assert [pair_choice.first_clip(clip_infos, gap) for gap in (4, 8, 12)] == [1, 1, 3]


def test_clips_of_many_lengths_are_evaluated(make_clips, tiny_config, tmp_path, monkeypatch):
    """The first of the test clips is a single frame, the next too short for the larger gap."""
    lengths = (1, 6, 13, 9)
    several = make_clips(
        train=[(13, False, 0.0)], validation=[(13, True, 0.0)],
        test=[(length, length == 13, 0.0) for length in lengths],
    )  # fmt: skip
    for module in ("training", "evaluation.run", "evaluation.comparison"):
        monkeypatch.setattr(f"tf_inbetween.{module}.prepare", lambda *_: several)
    # Without OpenCV, to be quick.
    monkeypatch.setattr(baselines, "available", lambda: {"crossfade": baselines.crossfade})
    config = tiny_config(steps=2, frames_per_clip=13, min_gap=2.0, max_gap=12.0)
    training.train(config, judged=True)
    result = evaluate(config.run_dir, pairs=100)
    pairs = {row["gap_label"]: row["pairs"] for row in result["inbetween"]}
    assert pairs == {"4 frames": 2 + 13 + 5, "8 frames": 13 + 1}
    assert (tmp_path / "run" / "figures" / "path.png").exists()
    compare.compare([config.run_dir], tmp_path / "out", [], ["8 frames"])
    assert (tmp_path / "out" / "inbetween.png").exists()


@pytest.fixture
def decoded(monkeypatch):
    """What becomes of `Clip`s: the names of all that are decoded, how many are held at most."""
    seen = SimpleNamespace(names=[], alive=0, most=0)

    class Watched(Clip):
        def __init__(self, **fields):
            super().__init__(**fields)
            seen.names.append(fields["name"])
            seen.alive += 1
            seen.most = max(seen.most, seen.alive)

        def __del__(self):
            seen.alive -= 1

    monkeypatch.setattr("tf_inbetween.clips.Clip", Watched)
    return seen


def test_of_many_clips_few_are_decoded_and_fewer_held(make_clips, decoded, monkeypatch):
    lengths = np.random.default_rng(0).integers(9, 14, size=200)
    several = make_clips(test=[(int(length), False, 0.0) for length in lengths])
    monkeypatch.setattr(judge, "_RECONSTRUCTED", 20)
    monkeypatch.setattr(judge, "_BATCH", 7)
    clip_infos = several.clip_infos("test")
    assert not decoded.names
    read = functools.partial(several.read, "test")

    rows = judge.inbetween(
        {"first": lambda first, second, t: first}, clip_infos, read, [4, 8], pairs=10, unit=""
    )
    wanted = {clip for gap in (4, 8) for clip in pair_choice.spread(clip_infos, gap, 10)}
    assert [row["pairs"] for row in rows] == [10] * 6
    assert sorted(map(int, decoded.names)) == sorted(wanted)
    assert len(wanted) <= 20
    assert decoded.most <= 2

    decoded.names.clear()
    model = Reconstructing()
    judge.reconstruction(model, clip_infos, read)
    assert 20 <= len(decoded.names) <= 40
    assert decoded.most <= 2
    # The frames are those of the whole split, held as one.
    frames = np.concatenate([clip.frames for clip in several.load("test")])
    frames = frames[:: len(frames) // 20]
    np.testing.assert_array_equal(np.concatenate(model.seen), to_float(frames))
    assert max(map(len, model.seen)) == 7


def test_frames_of_a_great_many_clips_are_not_all_the_first(make_clips, monkeypatch):
    several = make_clips(test=[(5, False, 0.0)] * 40)
    monkeypatch.setattr(judge, "_RECONSTRUCTED", 20)  # 200 frames: every tenth, if not for this.
    model = Reconstructing()
    read = functools.partial(several.read, "test")
    judge.reconstruction(model, several.clip_infos("test"), read)
    shown = np.rint(255 * np.concatenate(model.seen)[:, 0, 0, 1])
    assert list(np.bincount(shown.astype(int))) == [4, 4, 4, 4, 3]


class Reconstructing(TripletVAE):
    """Stands in for a model; keeps what it is shown."""

    def __init__(self):
        keras.Model.__init__(self)
        self.seen = []

    def reconstruct(self, frames):
        self.seen.append(frames)
        return tf.constant(frames)

    def elbo(self, frames, seed):
        return tf.zeros(len(frames))


def test_clips_that_cannot_be_judged_are_told_before_a_training(make_clips, tiny_config, tmp_path):
    long, short, other_pace = (13, False, 0.0), (4, False, 0.0), (13, False, 2.0)
    config = tiny_config(steps=2, frames_per_clip=13, min_gap=2.0, max_gap=12.0)
    for test, message in (
        ([short], "no clip is long enough for a gap of 4 frames: the longest has 4"),
        ([long, other_pace], "the clips differ in pace"),
    ):
        several = make_clips(train=[long], validation=[long], test=test)
        with pytest.raises(InputError, match=message):
            training.train(config, several, judged=True)
        assert not (tmp_path / "run").exists()


def test_evaluation_writes_the_contract(tiny_config, tiny_data, tmp_path, capsys):
    config = tiny_config()
    training.train(config)
    evaluate(config.run_dir, pairs=3)
    result = read_checked_json(tmp_path / "run" / "metrics.json")
    assert (result["scene"], result["split"], result["seed"]) == ("teapot_1dof", "test", 0)
    assert result["steps"] == 6
    assert 0 < result["train_seconds"] < 600
    assert set(result["reconstruction"]) == {"train", "test"}
    for row in result["reconstruction"].values():
        assert {"mse", "psnr", "ssim", "detail", "elbo"} == set(row)
        assert 0 <= row["detail"] <= 1
    assert {row["gap_label"] for row in result["inbetween"]} == {"20°", "40°", "60°", "80°", "120°"}
    for row in result["inbetween"]:
        assert row["pairs"] == 3
        assert set(row["methods"]) == set(method_table.DEFAULT_METHODS)
        assert set(row["latent_geometry"]) == {
            "chord_deviation",
            *(f"kl_{name}" for name in MATCHINGS),
        }
        assert all(np.isfinite(value) for value in row["latent_geometry"].values())
        for measures in row["methods"].values():
            assert {"mse", "psnr", "ssim", "detail", "timing_error", "hit_rate"} <= set(measures)
            assert all(np.isfinite(value) for value in measures.values())
    assert set(result["path"]) == {"mean_distance", "smoothness"}
    assert result["paths"] == {"latent": result["path"]}
    names = {path.name for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert names == {
        "reconstruction.png",
        "inbetween.png",
        "path.png",
        "latent_pca.png",
        "error_by_gap.png",
        "first.png",
        "second.png",
    }
    samples = sorted((tmp_path / "run" / "figures" / "samples").iterdir())
    assert [path.name for path in samples] == [f"{i:02}.png" for i in range(12)]
    for name in names:
        with PIL.Image.open(tmp_path / "run" / "figures" / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 5
    # Evaluating again gives the same, and keeps what only the training command knew.
    path = tmp_path / "run" / "metrics.json"
    write_checked_json(path, {**result, "total_seconds": 7.5})
    assert evaluate(config.run_dir, pairs=3) == {**result, "total_seconds": 7.5}
    before = path.read_bytes()
    # Another split and other methods, and no more of them than were asked for.
    names = ["latent_slerp", "optical_flow_farneback", "latent_slerp"]
    evaluate(config.run_dir, pairs=2, split="validation", methods=names)
    assert path.read_bytes() == before
    other = json.loads((tmp_path / "run" / "metrics.validation.json").read_text())
    assert other["split"] == "validation"
    assert set(other["reconstruction"]) == {"train", "validation"}
    said = capsys.readouterr().out
    assert re.search(r"^ +gap +t  method +MSE x 1e4  timing error  hit rate  detail$", said, re.M)
    assert re.search(r"^reconstruction, test: MSE x 1e4 \d+\.\d\d, detail 0\.\d{3}$", said, re.M)
    for row in other["inbetween"]:
        assert list(row["methods"]) == names[:2]
    assert other["paths"].keys() == {"latent", "latent_slerp"}
    assert other["paths"]["latent"] == other["path"]


def test_methods_that_are_unknown_or_cannot_run(monkeypatch, capsys):
    valid = (
        "crossfade, latent, latent_only, latent_slerp, nearest_frame, optical_flow, "
        "optical_flow_farneback"
    )
    with pytest.raises(InputError, match=rf"^unknown method 'flow': must be one of {valid}$"):
        method_table.check_methods(["latent", "flow"])
    assert tuple(method_table.check_methods([])) == method_table.DEFAULT_METHODS
    without = {name: baselines.METHODS[name] for name in ("crossfade", "nearest_frame")}
    monkeypatch.setattr(baselines, "available", lambda: without)
    assert method_table.check_methods([]) == ["latent", "crossfade", "nearest_frame"]
    assert "optical flow left out: pip install" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"^--methods=optical_flow: .* needs OpenCV: pip install"):
        method_table.check_methods(["optical_flow"])


def test_a_model_draws_by_slerp_and_at_a_time_for_each_pair(tiny_config):
    model = training.build_model(tiny_config())
    first, second = np.random.default_rng(0).uniform(size=(2, 3, 64, 64, 3)).astype(np.float32)
    latent, alone, slerp = (method(model) for method in method_table.MODEL_METHODS.values())
    for method in (latent, alone, slerp):
        np.testing.assert_allclose(method(first, second, 0), model.reconstruct(first), atol=1e-5)
        np.testing.assert_allclose(method(first, second, 1), model.reconstruct(second), atol=1e-5)
    assert np.abs(latent(first, second, 0.5) - slerp(first, second, 0.5)).max() > 1e-6
    # This model's own way is the latent alone.
    np.testing.assert_allclose(latent(first, second, 0.5), alone(first, second, 0.5), atol=1e-6)
    times = np.array([0.25, 0.5, 0.75])
    drawn = slerp(first, second, times)
    for i, t in enumerate(times):
        np.testing.assert_allclose(drawn[[i]], slerp(first[[i]], second[[i]], t), atol=1e-5)


FUSION = {"inbetween_decoder": "fusion", "fusion_filters": (4, 4, 4, 4)}


def fusion_model(tiny_config, **settings):
    """A `FusionVAE` with weights as if it had been trained, so that its mask is uneven."""
    model = training.build_model(tiny_config(**FUSION, **settings))
    kernel, bias = model.fusion.last.trainable_variables
    kernel.assign(np.random.default_rng(0).normal(scale=0.3, size=kernel.shape))
    bias.assign([0.0] * 4 + [0.0, 0.5, 2.0] + [0.0] * (bias.shape[0] - 7))
    return model


def test_a_fusion_model_draws_fused_frames_and_by_the_latent_alone(tiny_config):
    """Its own way and slerp give the ends themselves; the latent alone their reconstructions."""
    model = fusion_model(tiny_config)
    first, second = np.random.default_rng(0).uniform(size=(2, 3, 64, 64, 3)).astype(np.float32)
    latent, alone, slerp = (method(model) for method in method_table.MODEL_METHODS.values())
    for t, end in ((0, first), (1, second)):
        np.testing.assert_allclose(latent(first, second, t), end, atol=1e-6)
        np.testing.assert_allclose(slerp(first, second, t), end, atol=1e-6)
        np.testing.assert_allclose(alone(first, second, t), model.reconstruct(end), atol=1e-5)
    z0, z2 = model.encode(first).mean(), model.encode(second).mean()
    np.testing.assert_allclose(alone(first, second, 0.5), model.decode((z0 + z2) / 2), atol=1e-5)
    fused = latent(first, second, 0.5)
    np.testing.assert_allclose(
        fused, model.parts(first, second, tf.fill([3], 0.5))["frame"], atol=1e-6
    )
    assert np.abs(fused - alone(first, second, 0.5)).max() > 0.1
    assert 1e-6 < np.abs(fused - slerp(first, second, 0.5)).max() < 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mask_of_a_fusion_model_is_drawn(tiny_config, stored, tmp_path, channels, monkeypatch):
    """One row for each gap at t = 1/2; the mask and the frame are what the model has there."""
    model = fusion_model(tiny_config, channels=channels)
    (clip,) = stored.load("test")
    clip = dataclasses.replace(clip, frames=clip.frames[..., :channels])
    rows = [
        {"gap": gap, "gap_label": f"{5 * gap}°", "t": t} for gap in (4, 12) for t in (0.25, 0.5)
    ]
    drawn = []
    monkeypatch.setattr(figures, "labelled_grid", lambda *given: drawn.append(given))
    figures.mask_grid(tmp_path / "mask.png", model, clip, rows)
    ((path, grid, labels, heads),) = drawn
    assert (path.name, labels) == ("mask.png", ("20°", "60°"))
    assert heads == [
        *("first", "second", "truth", "drawn", "mask", "first,\nwarped", "second,\nwarped")
    ]
    frames = to_float(clip.frames).numpy()
    for gap, (first, second, truth, frame, mask, *warped) in zip((4, 12), grid, strict=True):
        begin = len(frames) // 8
        np.testing.assert_array_equal(first, frames[begin])
        np.testing.assert_array_equal(second, frames[begin + gap])
        np.testing.assert_array_equal(truth, frames[begin + gap // 2])
        parts = model.parts(first[None], second[None], tf.constant([0.5]))
        np.testing.assert_allclose(frame, parts["frame"][0], atol=1e-5)
        np.testing.assert_allclose(mask, parts["mask"][0], atol=1e-5)
        assert mask.shape == (64, 64, 3)
        np.testing.assert_allclose(mask.sum(axis=-1), 1, atol=1e-5)
        for name, picture in zip(("first_warped", "second_warped"), warped, strict=True):
            np.testing.assert_allclose(picture, parts[name][0], atol=1e-5)
    monkeypatch.undo()
    figures.mask_grid(tmp_path / "mask.png", model, clip, rows)
    with PIL.Image.open(tmp_path / "mask.png") as picture:
        red, green, blue = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int).T
    assert np.any(np.abs(red - green) + np.abs(green - blue) > 60)  # Of a grey model too.


def test_a_fusion_run_is_trained_watched_and_evaluated(
    tiny_config, tiny_data, tmp_path, monkeypatch
):
    monkeypatch.setattr(baselines, "available", lambda: {"crossfade": baselines.crossfade})
    config = tiny_config(steps=2, **FUSION)
    training.train(config)
    logs = tmp_path / "run" / "logs" / "validation"
    events = EventAccumulator(str(logs), size_guidance={"tensors": 0}).Reload()
    strips = [
        tf.io.decode_png(events.Tensors(tag)[-1].tensor_proto.string_val[2]).numpy()
        for tag in ("inbetween", "mask")
    ]
    assert strips[0].shape == strips[1].shape == (2 * 64 + 2, 8 * 64 + 7 * 2, 3)
    np.testing.assert_array_equal(strips[0][-64:], strips[1][:64])  # What it draws.
    np.testing.assert_array_equal(strips[1][-64:, :64], np.full((64, 64, 3), [255, 0, 0]))
    np.testing.assert_array_equal(strips[1][-64:, -64:], np.full((64, 64, 3), [0, 255, 0]))

    names = ["latent", "latent_only", "latent_slerp", "crossfade"]
    result = evaluate(config.run_dir, pairs=2, methods=names)
    for row in result["inbetween"]:
        assert list(row["methods"]) == names
        assert row["methods"]["latent"] != row["methods"]["latent_only"]
    assert result["paths"].keys() == set(names[:3])
    assert (tmp_path / "run" / "figures" / "mask.png").exists()


@pytest.mark.parametrize("method", ["latent_only", "latent_slerp"])
def test_methods_that_need_latents(tiny_config, tiny_data, tmp_path, method):
    config = tiny_config(model="pixel_unet")
    folder = run_directory.start(config, "float32")
    training.build_model(config).save(folder / "model.keras", include_optimizer=False)
    message = rf"^--methods={method}: the model of .*/run has no latents$"
    with pytest.raises(InputError, match=message):
        evaluate(config.run_dir, methods=["latent", method])
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["azimuth", "elevation"], 0),
        (["qw", "qx", "qy", "qz", "x", "y", "z"], 4),
        (["cube_qw", "cube_qx", "cube_qy", "cube_qz", "cube_x"], 4),
        (["qw"], 0),
    ],
)
def test_latents_are_coloured_by_what_says_something_alone(names, expected):
    assert figures.telling(names) == expected


@pytest.mark.parametrize("channels", [1, 3])
def test_figures_of_grey_and_open_clips(tmp_path, channels):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, size=(20, 16, 16, channels), dtype=np.uint8)
    clip = Clip("c", frames, np.arange(20.0)[:, None], False, 1.0)
    rows = [{"gap": 16, "gap_label": "16 frames", "t": 0.5, "methods": {"crossfade": {}}}]
    methods = {"crossfade": baselines.crossfade}
    for row in rows:
        measures = {"mse": 0.1, "timing_error": 0.0, "hit_rate": 1.0, "detail": 0.5}
        row["methods"]["crossfade"] = measures
    figures.error_by_gap(tmp_path / "e.png", rows)
    figures.path_picture(tmp_path / "f.png", {"nearest_frame": baselines.nearest_frame}, clip, 16)
    figures.inbetween_grid(tmp_path / "a.png", methods, clip, rows)
    figures.path_picture(tmp_path / "b.png", methods, clip, 16)
    figures.latent_pca(tmp_path / "c.png", [rng.normal(size=(20, 1))], [np.arange(20)], "x", False)
    figures.path_picture(tmp_path / "d.png", methods, clip, 16, truth_below=True)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in "abcdef"}
    above, below = (np.asarray(PIL.Image.open(tmp_path / name)) for name in ("b.png", "d.png"))
    assert above.shape == below.shape
    assert not np.array_equal(above, below)


@pytest.fixture
def run(finished, tiny_data):
    return finished(steps=2)


def test_a_run_without_a_model_and_no_run_at_all(run, tmp_path):
    with pytest.raises(InputError, match=r"no run there \(flags\.txt is missing\)"):
        run_directory.load_config(tmp_path / "nowhere")
    (tmp_path / "run" / "model.keras").unlink()
    with pytest.raises(InputError, match=r"model\.keras: missing"):
        evaluate(run.run_dir)


def test_how_long_a_training_was_is_known_without_its_checkpoints(run, tmp_path):
    steps, seconds = evaluation_run._progress(tmp_path / "run")
    assert steps == 2
    assert seconds > 0
    write_checked_json(tmp_path / "run" / "metrics.json", {"steps": 2, "train_seconds": seconds})
    (tmp_path / "run" / "metrics.validation.json").write_text("damaged")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert evaluation_run._progress(tmp_path / "run") == (2, seconds)


def test_a_damaged_model(run, tmp_path):
    path = tmp_path / "run" / "model.keras"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.keras: cannot be loaded"):
        evaluate(run.run_dir)


def test_a_run_of_another_version(run, tmp_path):
    path = tmp_path / "run" / "environment.json"
    environment = json.loads(path.read_text())
    path.write_text(json.dumps({**environment, "format": 99}))
    with pytest.raises(InputError, match=r"has run-directory format 99; tf_inbetween .* reads"):
        evaluate(run.run_dir)
    path.write_text("{")
    with pytest.raises(InputError, match=r"environment\.json: missing or damaged"):
        evaluate(run.run_dir)


def test_flags_that_this_version_does_not_know(run, tmp_path):
    path = tmp_path / "run" / "flags.txt"
    path.write_text(path.read_text() + "--turbo=True\n")
    with pytest.raises(InputError, match="another version of tf_inbetween; flags that differ: tu"):
        evaluate(run.run_dir)
    path.write_text(path.read_text().replace("--turbo=True\n", "").replace("=2\n", "=two\n"))
    with pytest.raises(InputError, match=r"flags\.txt: "):
        evaluate(run.run_dir)
