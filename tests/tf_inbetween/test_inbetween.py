"""Paths through key frames that a fusion decoder draws."""

import weakref

import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween import drawing, interpolation, training


@pytest.fixture
def make_fusion(tiny_config):
    """Makes a tiny `FusionVAE` whose weights are all random, so that no part of it rests."""

    def make(**overrides):
        settings = {"inbetween_decoder": "fusion", "fusion_filters": (4, 4, 8)}
        model = training.build_model(tiny_config(**settings, **overrides))
        rng = np.random.default_rng(0)
        scales = {model.encoder: 0.3, model.decoder: 0.3, model.fusion: 0.1, model.curve: 0.3}
        for network, scale in scales.items():
            for variable in network.trainable_variables if network else ():
                variable.assign_add(scale * rng.normal(size=variable.shape))
        return model

    return make


def key_frames(count):
    coarse = np.random.default_rng(1).uniform(size=(count, 4, 4, 3)).astype(np.float32)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def through(model, keys, *args):
    return np.stack(list(drawing.draw_through(model, keys, *args)))


@pytest.mark.parametrize("path", ["linear", "spline"])
def test_each_frame_is_fused_from_the_keys_around_it_and_the_latent_on_the_path(
    path, make_fusion, monkeypatch
):
    monkeypatch.setattr(drawing, "_BATCH", 4)
    model, keys = make_fusion(), key_frames(4)
    z = model.encode(keys).mean()
    given = through(model, keys, 3, path)
    np.testing.assert_array_equal(given[::4], keys)
    for step in (1, 6, 11):
        i, t = step // 4, np.float32([step % 4 / 4])
        z_t = interpolation.PATHS[path](z, [step / 4])
        ends = (keys[i : i + 1], keys[i + 1 : i + 2], z[i : i + 1], z[i + 1 : i + 2])
        expected = model.fuse(*ends, z_t, t)["frame"][0]
        np.testing.assert_allclose(given[step], expected, atol=1e-5)
    between = through(model, keys, 3, path, "none")
    np.testing.assert_array_equal(np.delete(given, np.s_[::4], axis=0), between)
    np.testing.assert_array_equal(through(model, keys, 3, path, "drawn"), given)


@pytest.mark.parametrize("path", ["straight", "curved"])
def test_a_linear_path_joins_each_pair_as_the_model_does(path, make_fusion):
    model, keys = make_fusion(latent_path=path), key_frames(3)
    pairs = [drawing.draw(model, *pair, 2) for pair in (keys[:2], keys[1:])]
    between = through(model, keys, 2, "linear", "none")
    np.testing.assert_allclose(between, np.concatenate(pairs), atol=1e-5)


def test_a_spline_is_not_the_straight_line(make_fusion):
    model, keys = make_fusion(), key_frames(4)
    linear, spline = (through(model, keys, 1, path, "none") for path in ("linear", "spline"))
    assert np.abs(linear - spline).max() > 1e-4


def test_the_ends_are_the_frames_themselves(make_fusion):
    model, (first, second) = make_fusion(), key_frames(2)
    drawn = model.path(first, second, tf.constant([0.0, 1.0]))
    np.testing.assert_array_equal(drawn, [first, second])


class Counted:
    """Frames, one made at a time; says how many are held at once."""

    def __init__(self, count):
        self._count, self._alive, self.most = count, 0, 0

    def __iter__(self):
        for i in range(self._count):
            frame = np.full([64, 64, 3], i / self._count, np.float32)
            self._alive += 1
            self.most = max(self.most, self._alive)
            weakref.finalize(frame, self._drop)
            yield frame
            del frame

    def _drop(self):
        self._alive -= 1


@pytest.mark.parametrize("show", ["given", "none"])
def test_a_batch_of_keys_is_held_at_a_time(show, make_fusion, monkeypatch):
    monkeypatch.setattr(drawing, "_BATCH", 4)
    keys = Counted(24)
    frames = sum(1 for _ in drawing.draw_through(make_fusion(), keys, 1, show=show))
    assert frames == (47 if show == "given" else 23)
    assert keys.most <= 2 * (4 + 1)
