"""The export of a model that copies pixels of both ends, and its masks."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from export import pictures
from export.signatures import signatures
from tf_inbetween import images, run_directory
from tf_inbetween.models import to_float


@pytest.fixture(scope="module")
def model(fusion_run):
    return run_directory.load_model(fusion_run)


@pytest.fixture(scope="module")
def served(fusion_exported, load_signatures):
    """The exported model. The export itself has proven it at batch 0, 1, 5."""
    return load_signatures(fusion_exported)


@pytest.fixture(scope="module")
def pair(stored):
    """Two rows of two frames of the test clip, [2, H, W, C] in [0, 1] each."""
    frames = to_float(stored.load("test")[0].frames).numpy()
    return {"first": frames[:2], "second": frames[20:22]}


def test_inbetween_and_sequence_are_fused_and_the_ends_are_the_frames(served, model, pair):
    t = np.float32([[0.0, 0.25, 1.0], [0.5, 0.3, 0.1]])
    frames = served("sequence", **pair, t=t)["frames"]
    np.testing.assert_allclose(frames, model.inbetween(*pair.values(), t), atol=1e-5)
    np.testing.assert_array_equal(frames[0, [0, 2]], [pair["first"][0], pair["second"][0]])
    one = served("inbetween", **pair, t=t[:, 1])
    np.testing.assert_allclose(one["frame"], frames[:, 1], atol=1e-5)
    latent = model.decode(
        model.interpolate_latents(*(model.encode(end).mean() for end in pair.values()), t[:, 1])
    )
    assert np.abs(one["frame"] - latent).max() > 0.1


def test_a_mask_says_what_was_copied(served, pair):
    def mask(t):
        return served("mask", **pair, t=np.float32([t, 0.5]))["mask"][0]

    for t in (0.0, 0.5, 1.0):
        shares = mask(t)
        assert shares.min() >= 0
        np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(mask(0.0), np.broadcast_to([1, 0, 0], shares.shape))
    np.testing.assert_array_equal(mask(1.0), np.broadcast_to([0, 1, 0], shares.shape))


def test_a_mask_as_png(served, pair):
    t = np.float32([0.25, 0.75])
    files = {f"{end}_bytes": pictures.encode_png(tf.constant(pair[end])).numpy() for end in pair}
    files_of_masks = served("mask_png", **files, t=t)["mask_bytes"]
    wanted = served("mask", **pair, t=t)["mask"]
    for file, mask in zip(files_of_masks, wanted, strict=True):
        pixels = np.asarray(PIL.Image.open(io.BytesIO(file)), int)
        assert np.abs(pixels - images.to_uint8(mask)).max() <= 1


def test_a_row_is_the_same_alone_and_in_company(served, pair):
    t = np.float32([0.25, 0.75])
    alone = {name: value[1:] for name, value in pair.items()}
    for signature, output in (("inbetween", "frame"), ("mask", "mask")):
        many, one = served(signature, **pair, t=t), served(signature, **alone, t=t[1:])
        np.testing.assert_allclose(one[output][0], many[output][1], atol=1e-5)


@pytest.mark.parametrize("signature", ["mask", "mask_png"])
def test_bad_values_are_an_invalid_argument(served, pair, signature):
    files = {f"{end}_bytes": pictures.encode_png(tf.constant(pair[end])).numpy() for end in pair}
    ends = files if signature == "mask_png" else pair
    with pytest.raises(tf.errors.InvalidArgumentError, match="t must be numbers from 0 to 1"):
        served(signature, **ends, t=np.float32([0.5, 1.5]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="first and t must have as many"):
        served(signature, **ends, t=np.float32([0.5]))


def test_a_model_of_latents_alone_has_no_mask(exported):
    assert not {"mask", "mask_png"} & set(tf.saved_model.load(str(exported / "1")).signatures)


def test_confidence_falls_where_the_two_copies_disagree(model, fusion_run, pair):
    usual, t = 1e-3, np.float32([0.5, 0.25])
    inbetween, _ = signatures(model, run_directory.load_config(fusion_run), usual)["inbetween"]
    parts = model.parts(*pair.values(), t)
    ends = [np.mean((model.reconstruct(x) - x) ** 2, axis=(1, 2, 3)) for x in pair.values()]
    apart = np.mean((parts["first_warped"] - parts["second_warped"]) ** 2, axis=(1, 2, 3))
    copies = 4 * t * (1 - t) * apart
    confidence = inbetween(**pair, t=tf.constant(t))["confidence"]
    np.testing.assert_allclose(confidence, 4 * usual**2 / (np.maximum(*ends) + copies), rtol=1e-5)
    assert np.all(copies > 1e-3 * np.maximum(*ends))  # So it would have been seen if left out.
