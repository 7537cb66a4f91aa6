"""Looks of scenes that vary, and the names of their variants."""

import numpy as np
import pytest

from data_gen import scenes
from data_gen.scenes.scene import near


def test_look_is_the_scenes_own_unless_it_varies():
    scene = scenes.get("objects")
    pose = scene.clip("train", 0, 0).poses[0]
    look = scene.look("train", 0, 0, scene.parts(pose))
    assert look.light == scene.view.light.direction
    assert look.background == scene.view.background
    assert look.colours == tuple(part.colour for part in scene.parts(pose))
    picture = scene.picture(pose, look)
    assert (picture.light, picture.background) == (None, None)


def test_look_that_varies():
    scene = scenes.get("linked_arm_colour_light_background")
    parts = scene.parts(scene.clip("train", 0, 0).poses[0])
    looks = [scene.look("train", number, 0, parts) for number in range(50)]
    assert looks[7] == scene.look("train", 7, 0, parts)
    assert len(set(looks)) == 50
    lamp = np.array(scene.view.light.direction) / np.linalg.norm(scene.view.light.direction)
    for look in looks:
        assert look.light @ lamp >= 0.5 - 1e-12
        assert np.linalg.norm(look.light) == pytest.approx(1)
        assert (np.array(look.background) <= 0.1).all()
        assert len(set(look.colours)) == 4, "three links and the base, joints like their link"
        picture = scene.picture(scene.clip("train", 0, 0).poses[0], look)
        assert tuple(part.colour for part in picture.parts) == look.colours
        assert (picture.light, picture.background) == (look.light, look.background)
    only = scenes.get("linked_arm_light").look("train", 0, 0, parts)
    assert only.light == looks[0].light
    assert only.background == scene.view.background


def test_directions_near_another_are_even():
    """The cosine is even; false-alarm rate 1e-6 (Dvoretzky-Kiefer-Wolfowitz)."""
    rng = np.random.default_rng(0)
    drawn = np.stack([near(rng, (0.0, 3.0, 0.0), 60.0) for _ in range(2000)])
    height = np.sort(2 * (drawn[:, 1] - 0.5))
    furthest = np.abs(height - (np.arange(2000) + 0.5) / 2000).max()
    assert furthest < np.sqrt(np.log(2 / 1e-6) / 4000) + 1 / 2000


@pytest.mark.parametrize(
    ("scene", "settings", "name"),
    [
        ("teapot_1dof", {}, "teapot_1dof"),
        ("linked_arm", {"links": 5, "colour": True}, "linked_arm_5links_colour"),
        ("linked_arm", {"links": 3, "seed": 0, "light": False}, "linked_arm"),
        ("linked_arm_5links", {"clips": 9, "links": 4}, "linked_arm_4links_9clips"),
        ("objects_colour_4objects", {}, "objects_4objects_colour"),
        ("teapot_1dof", {"heldout": True}, "teapot_1dof_heldout"),
        ("fast_motion", {"seed": 7, "frames": 65}, "fast_motion_65frames_seed7"),
    ],
)
def test_variants(scene, settings, name):
    assert scenes.variant(scene, **settings) == name
    assert scenes.variant(name) == name
    scenes.get(name)


@pytest.mark.parametrize(
    ("scene", "settings", "message"),
    [
        ("teapot_2dof", {"links": 3}, "'teapot_2dof' has no setting links; it has background, cl"),
        ("linked_arm", {"links": 8}, "links must be 2 to 7, got 8"),
        ("objects", {"objects": 0}, "objects must be 2 to 4, got 0"),
        ("fast_motion", {"objects": 13}, "objects must be 2 to 12, got 13"),
        ("objects", {"frames": 32}, "frames must be odd and at least 3, got 32"),
        ("objects", {"clips": 0}, "clips must be at least 1, got 0"),
        ("objects_3links", {}, "unknown setting '3links' of scene 'objects'; it has "),
        ("linked_arm_", {}, "unknown setting '' of scene 'linked_arm'"),
        (
            "linked_arms",
            {},
            "unknown scene 'linked_arms'; valid: chord, clock, counting, fast_motion, linked_arm, ",
        ),
    ],
)
def test_no_such_variant(scene, settings, message):
    with pytest.raises(ValueError, match=message):
        scenes.variant(scene, **settings)
