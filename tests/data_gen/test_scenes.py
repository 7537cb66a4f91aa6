"""Every scene keeps the promises of its plan; the teapot's turn is known exactly."""

import numpy as np
import pytest

from data_gen import meshes, scenes

ALL = sorted(scenes.SCENES)


def poses(scene, split, seed=0):
    return np.concatenate([plan.poses for plan in scenes.get(scene).plan(split, seed)])


@pytest.mark.parametrize("name", ALL)
def test_plans_fit_the_scene(name):
    scene = scenes.get(name)
    for split in scenes.SPLITS:
        for plan in scene.plan(split, 0):
            assert plan.poses.shape[1:] == (len(scene.pose_names),)
            for part in scene.parts(plan.poses[0]):
                assert part.mesh in meshes.MESHES
                assert np.asarray(part.transform).shape == (4, 4)


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_plans(name):
    for split in scenes.SPLITS:
        np.testing.assert_array_equal(poses(name, split, 7), poses(name, split, 7))


@pytest.mark.parametrize("name", ALL)
def test_no_pose_in_two_splits(name):
    splits = [{tuple(p) for p in poses(name, s).astype(np.float32)} for s in scenes.SPLITS]
    assert len(set.union(*splits)) == sum(map(len, splits))


@pytest.mark.parametrize("name", ALL)
def test_unknown_split(name):
    with pytest.raises(ValueError, match="valid: train, validation, test"):
        next(scenes.get(name).plan("tset", 0))


def test_unknown_scene():
    with pytest.raises(ValueError, match=r"unknown scene 'teapto'; valid: .*teapot_1dof"):
        scenes.get("teapto")


def test_teapot_angles():
    np.testing.assert_array_equal(poses("teapot_1dof", "train")[:, 0], np.arange(360))
    np.testing.assert_array_equal(poses("teapot_1dof", "validation")[:, 0], np.arange(360) + 0.5)
    test = poses("teapot_1dof", "test")[:, 0]
    np.testing.assert_array_equal(test, 0.25 + 0.5 * np.arange(720))
    others = np.concatenate([poses("teapot_1dof", s)[:, 0] for s in ("train", "validation")])
    distance = np.abs((test[:, None] - others + 180) % 360 - 180)
    assert distance.min() == 0.25


@pytest.mark.parametrize("split", scenes.SPLITS)
@pytest.mark.parametrize("stride", [1, 5])
def test_teapot_turn_closes_at_its_pace(split, stride):
    (plan,) = scenes.get("teapot_1dof").plan(split, 0)
    plan = plan.strided(stride)
    angles = plan.poses[:, 0]
    assert plan.closed
    np.testing.assert_allclose(np.diff([*angles, angles[0] + 360]), plan.pace)


@pytest.mark.parametrize("split", scenes.SPLITS)
def test_teapot_middle_frame_has_the_middle_pose(split):
    (plan,) = scenes.get("teapot_1dof").plan(split, 0)
    for gap in scenes.get("teapot_1dof").gaps:
        frames = round(gap / plan.pace)
        assert frames % 2 == 0, "the gap's middle is a frame"
        first = np.arange(len(plan.poses) - frames)
        middle = (plan.poses[first] + plan.poses[first + frames]) / 2
        np.testing.assert_allclose(plan.poses[first + frames // 2], middle)


def test_stride_must_divide_a_closed_clip():
    plan = scenes.ClipPlan(np.zeros((10, 1)), closed=True, pace=2.0)
    assert len(plan.strided(5).poses) == 2
    assert plan.strided(5).pace == 10.0
    with pytest.raises(ValueError, match="use a divisor"):
        plan.strided(3)
    with pytest.raises(ValueError, match="at least 1"):
        plan.strided(0)
    open_plan = scenes.ClipPlan(np.zeros((10, 1)), closed=False, pace=2.0)
    assert len(open_plan.strided(3).poses) == 4


def test_count():
    scene = scenes.get("teapot_1dof")
    assert scenes.count(scene, "test", 0) == (1, 720)
    assert scenes.count(scene, "test", 0, stride=10) == (1, 72)


def test_rotation_is_anticlockwise_from_above():
    np.testing.assert_allclose(scenes.rotation_z(90) @ [1, 0, 0, 1], [0, 1, 0, 1], atol=1e-12)
