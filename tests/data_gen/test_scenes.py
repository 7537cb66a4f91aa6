"""Every scene keeps the promises of its plan; the teapot's turn is known exactly."""

import itertools

import numpy as np
import pytest

from data_gen import meshes, motion, render, scenes
from data_gen.scenes.objects import hide_each_other
from data_gen.scenes.scene import Camera, first_fitting, in_picture, project
from data_gen.scenes.teapots import in_patch

# Few clips, to be quick.
DRAWN = [
    "teapot_2dof_8clips",
    "teapot_6dof_8clips",
    "objects_8clips",
    "objects_4objects_9frames_4clips",
    "linked_arm_8clips",
    "linked_arm_7links_9frames_4clips",
    "fast_motion_8clips",
]
ALL = ["teapot_1dof", "teapot_1dof_heldout", *DRAWN]


def poses(scene, split, seed=0):
    return np.concatenate([plan.poses for plan in scenes.get(scene).plan(split, seed)])


@pytest.mark.parametrize("name", ALL)
def test_plans_fit_the_scene(name):
    scene = scenes.get(name)
    for split in scene.clips:
        for plan in scene.plan(split, 0):
            assert plan.poses.shape[1:] == (len(scene.pose_names),)
            for part in scene.parts(plan.poses[0]):
                assert part.mesh in meshes.MESHES
                assert np.asarray(part.transform).shape == (4, 4)


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_plans(name):
    for split in scenes.get(name).clips:
        np.testing.assert_array_equal(poses(name, split, 7), poses(name, split, 7))


@pytest.mark.parametrize("name", ALL)
def test_no_pose_in_two_splits(name):
    splits = [{tuple(p) for p in poses(name, s).astype(np.float32)} for s in scenes.get(name).clips]
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
    assert plan.cyclic
    np.testing.assert_allclose(np.diff([*angles, angles[0] + 360]), plan.units_per_frame)


@pytest.mark.parametrize("split", scenes.SPLITS)
def test_teapot_middle_frame_has_the_middle_pose(split):
    (plan,) = scenes.get("teapot_1dof").plan(split, 0)
    for gap in scenes.get("teapot_1dof").gaps:
        frames = round(gap / plan.units_per_frame)
        assert frames % 2 == 0, "the gap's middle is a frame"
        first = np.arange(len(plan.poses) - frames)
        middle = (plan.poses[first] + plan.poses[first + frames]) / 2
        np.testing.assert_allclose(plan.poses[first + frames // 2], middle)


def test_stride_must_divide_a_closed_clip():
    plan = scenes.ClipPlan(np.zeros((10, 1)), cyclic=True, units_per_frame=2.0)
    assert len(plan.strided(5).poses) == 2
    assert plan.strided(5).units_per_frame == 10.0
    with pytest.raises(ValueError, match="use a divisor"):
        plan.strided(3)
    with pytest.raises(ValueError, match="at least 1"):
        plan.strided(0)
    open_plan = scenes.ClipPlan(np.zeros((10, 1)), cyclic=False, units_per_frame=2.0)
    assert len(open_plan.strided(3).poses) == 4


def test_count():
    scene = scenes.get("teapot_1dof")
    assert scenes.count(scene, "test", 0) == (1, 720)
    assert scenes.count(scene, "test", 0, stride=10) == (1, 72)


@pytest.mark.parametrize("name", DRAWN)
def test_seed_and_number_change_a_clip(name):
    scene = scenes.get(name)
    clips = [scene.clip("train", 0, 0), scene.clip("train", 1, 0), scene.clip("train", 0, 1)]
    for a, b in itertools.combinations(clips, 2):
        assert not np.allclose(a.poses, b.poses)
    with pytest.raises(ValueError, match="seed must be at least 0"):
        scene.clip("train", 0, -1)


def test_a_clip_is_the_same_however_many_there_are():
    for name in ("teapot_6dof", "linked_arm"):
        few, many = scenes.get(f"{name}_1clips"), scenes.get(f"{name}_1000clips")
        np.testing.assert_array_equal(few.clip("train", 0, 0).poses, many.clip("train", 0, 0).poses)


def test_a_plan_of_a_million_clips_is_read_as_it_goes():
    scene = scenes.get("fast_motion_1000000clips")
    assert scenes.count(scene, "train", 0) == (1_000_000, 33_000_000)
    assert len(list(itertools.islice(scene.plan("train", 0), 3))) == 3


def middle_of(names, first, last):
    """The pose half way, on the shorter arc for rotations."""
    middle = (first + last) / 2
    at = [k for k, name in enumerate(names) if name.endswith("qw")]
    for k in at:
        middle[k : k + 4] /= np.linalg.norm(middle[k : k + 4])
    return middle


@pytest.mark.parametrize("name", ALL)
def test_every_clip_is_long_enough_for_every_gap(name):
    """And has frames at 1/4, 1/2 and 3/4 of those whose gaps are in frames."""
    scene = scenes.get(name)
    for split in scene.clips:
        plan = scene.clip(split, 0, 0)
        for gap in scene.gaps:
            frames = gap / (plan.units_per_frame or 1)
            assert plan.cyclic or frames < len(plan.poses)
            assert scene.gap_unit or frames % 4 == 0


def test_gaps_of_clips_of_any_length():
    gaps = {3: (2,), 5: (4,), 9: (4, 8), 31: (4, 12, 28), 33: (8, 16, 32), 65: (16, 32, 64)}
    for frames, expected in gaps.items():
        assert scenes.get(f"fast_motion_{frames}frames").gaps == expected


@pytest.mark.parametrize("name", [name for name in DRAWN if "fast" not in name])
def test_middle_frame_is_half_way(name):
    scene = scenes.get(name)
    for gap in scene.gaps:
        assert gap % 2 == 0, "there is a frame in the middle"
    for plan in scene.plan("test", 0):
        gap = int(scene.gaps[-1])
        expected = middle_of(scene.pose_names, plan.poses[0], plan.poses[gap])
        np.testing.assert_allclose(plan.poses[gap // 2], expected, atol=1e-12)
        renderer = render.Renderer(scene.view, 24, 1, 1)
        np.testing.assert_allclose(
            renderer.render(scene.parts(plan.poses[gap // 2])).astype(float),
            renderer.render(scene.parts(expected)),
            atol=1,
        )


def test_fast_motion_is_half_way_along_the_path_that_bounces():
    """The same flight in 33 and in 3 frames, of which the second is half way by definition."""
    many, few = scenes.get("fast_motion"), scenes.get("fast_motion_3frames")
    for number in range(5):
        a, b = (scene.clip("train", number, 0).poses for scene in (many, few))
        np.testing.assert_allclose(a[::16], b, atol=1e-12)


def test_fast_motion_is_fast_and_bounces():
    for plan in scenes.get("fast_motion_8clips").plan("train", 0):
        steps = np.diff(plan.poses, axis=0)
        turns = (np.sign(steps[1:]) != np.sign(steps[:-1])).sum(axis=0)
        assert (turns >= 1).mean() > 0.7, "most solids meet a wall"
        # Of the picture's width of 8, in each direction: 2 to 7 pixels of 64 a frame.
        assert 8 * 2 / 64 * 0.5 < np.abs(steps).mean() < 8 * 7 / 64


@pytest.mark.parametrize("objects", [2, 6, 12])
def test_fast_motion_is_in_layers_within_the_picture(objects):
    """Nothing collides, and the walls are in the picture at every depth."""
    scene = scenes.get(f"fast_motion_{objects}objects")
    for corner in (-2.85, 2.85):
        parts = scene.parts([corner] * 2 * objects)
        assert in_picture(scene.view, parts)
        radius = np.cbrt(np.linalg.det(parts[0].transform[:3, :3]))
        depths = [part.transform[1, 3] for part in parts]
        np.testing.assert_allclose(np.diff(depths), 2 * radius)


@pytest.mark.parametrize("name", DRAWN)
def test_no_scene_comes_near_to_giving_up(name, monkeypatch):
    """40 clips in 3,000 tries each: then 10,000 suffice for some hundred thousand."""
    monkeypatch.setattr("data_gen.scenes.scene._TRIES", 3000)
    scene = scenes.get(name)
    for number in range(40):
        scene.clip("train", number, 1)


@pytest.mark.parametrize(
    ("name", "radius"),
    [
        ("objects_8clips", 1.35),
        ("objects_2objects_8clips", 1.35),
        ("objects_4objects_8clips", 1.35 * 0.75**0.5),
    ],
)
def test_objects_pass_in_front_of_each_other_but_never_through(name, radius):
    scene = scenes.get(name)
    for plan in scene.plan("train", 0):
        assert hide_each_other(plan.poses, radius)
        places = plan.poses.reshape(len(plan.poses), -1, 7)[..., 4:]
        for a, b in itertools.combinations(range(places.shape[1]), 2):
            distance = np.linalg.norm(places[:, a] - places[:, b], axis=-1)
            assert distance.min() >= 2 * radius


def test_arm_hangs_together():
    """Each link's cylinder ends where its joints are; the base stays."""
    scene = scenes.get("linked_arm_5links_4clips")
    for plan in scene.plan("train", 0):
        base = None
        for pose in plan.poses[::8]:
            foot, *links = scene.parts(pose)
            assert base is None or np.array_equal(base, foot.transform)
            base = foot.transform
            joints, _ = motion.forward_kinematics(pose, [5.2 / 5] * 5)
            for i in range(5):
                cylinder, *balls = links[3 * i : 3 * i + 3]
                for end, ball, joint in zip((-1, 1), balls, joints[i : i + 2], strict=True):
                    tip = (cylinder.transform @ [0, 0, end, 1])[:3]
                    np.testing.assert_allclose(tip, ball.transform[:3, 3], atol=1e-12)
                    np.testing.assert_allclose(tip[[0, 2]] - [0, -1.6], joint, atol=1e-12)


@pytest.mark.parametrize("name", DRAWN)
def test_no_solid_leaves_the_picture(name):
    """The rendered pictures' edges show nothing but background."""
    scene = scenes.get(name)
    renderer = render.Renderer(scene.view, 48, 3, 1)
    empty = renderer.render([])
    edge = np.ones((48, 48), bool)
    edge[1:-1, 1:-1] = False
    for split in ("train", "test"):
        for plan in itertools.islice(scene.plan(split, 1), 4):
            for pose in plan.poses[:: len(plan.poses) // 4]:
                picture = renderer.render(scene.parts(pose))
                assert (picture != empty).any()
                np.testing.assert_array_equal(picture[edge], empty[edge])


def test_rule_of_the_picture():
    """A ball at x, y with the camera at 5 units and 45 degrees to each side."""
    view = scenes.View(
        Camera((0.0, -5.0, 0.0), (0.0, 0.0, 0.0), 90.0), scenes.Light((0, -1, 0), 1, 0), (0, 0, 0)
    )

    def fits(x, z):
        return in_picture(
            view, [scenes.Part("sphere", motion.placed(np.eye(3), (x, 0, z)), (1,) * 3)]
        )

    # The ball's edge is seen at the angle of its centre and asin(1 / distance) more.
    reach = {x: np.tan(np.arctan(x / 5) + np.arcsin(1 / np.hypot(5, x))) for x in (3.0, 3.4, 3.7)}
    assert reach[3.0] < reach[3.4] < 0.97 < 0.99 < reach[3.7]
    for x in reach:
        for sign in (-1, 1):
            assert fits(sign * x, 0) == fits(0, sign * x) == (x < 3.5)
    assert not fits(0, 100)


def test_points_behind_the_camera_are_not_in_the_picture():
    camera = Camera((0.0, -5.0, 0.0), (0.0, 0.0, 0.0), 90.0)
    assert not np.isfinite(project(camera, np.array([0.0, -6.0, 0.0]))).any()
    np.testing.assert_allclose(project(camera, np.array([1.0, 0.0, -2.0])), [0.2, -0.4])


def test_what_never_fits_is_an_error():
    with pytest.raises(ValueError, match="fits in 10000 tries"):
        first_fitting(lambda: 0, lambda _: False)


def test_held_out_patch():
    scene = scenes.get("teapot_2dof_16clips")
    centre = np.array([270.0, 30.0])
    kept_out = np.concatenate([poses("teapot_2dof_16clips", s) for s in scenes.SPLITS])
    assert not in_patch(kept_out).any()
    seen = np.concatenate([plan.poses for plan in scene.plan("heldout", 0)])
    assert (np.abs(seen - centre) <= [35, 15]).all(), "10 degrees from the patch's edge"
    np.testing.assert_array_equal(
        in_patch(np.array([[270.0, 30.0], [-90.0, 50.0], [630.0, 30.0], [200.0, 30.0]])),
        [True, True, True, False],
    )


def test_held_out_arc():
    name = "teapot_1dof_heldout"
    for split in scenes.SPLITS:
        (plan,) = scenes.get(name).plan(split, 0)
        angles = plan.poses[:, 0] % 360
        assert ((angles <= 230) | (angles >= 310)).all()
        assert not plan.cyclic
        np.testing.assert_allclose(np.diff(plan.poses[:, 0]), plan.units_per_frame)
    seen = poses(name, "heldout")[:, 0]
    np.testing.assert_array_equal(seen, np.arange(240, 300.5, 0.5))


def test_rotation_is_anticlockwise_from_above():
    np.testing.assert_allclose(scenes.rotation_z(90) @ [1, 0, 0, 1], [0, 1, 0, 1], atol=1e-12)
