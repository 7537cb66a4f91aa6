"""Scenes: what moves, how, and the view. They do not depend on the renderer.

A scene turns a split, a clip's number and a seed into a clip plan (a pose for every frame), and a
pose into parts (solids placed in the world). World coordinates are right-handed with z up; colours
are linear RGB in [0, 1]; angles in poses are in degrees; rotations are unit quaternions w, x, y, z.

A scene is a function that returns a `Scene`, and a row of `SCENES`; the function's keywords are the
scene's settings. A variant's name is the scene's with suffixes for settings that differ from the
defaults, such as "linked_arm_5links_colour". It works wherever a scene's name does:

    _heldout                   an arc or patch of poses that only the split `heldout` shows
    _5links, _4objects         how many
    _65frames                  frames of a clip
    _1000clips                 clips of the training split; an eighth of that for each other split
    _mesh-bunny-0123abcd       in place of the teapot, see `data_gen.meshes.add_file`
    _colour, _light, _background   vary from clip to clip, see `Scene.look`
    _seed7                     other clips
"""

import dataclasses
import inspect
import re
from collections.abc import Callable

from data_gen import motion
from data_gen.scenes.fast_motion import fast_motion
from data_gen.scenes.linked_arm import linked_arm
from data_gen.scenes.objects import objects
from data_gen.scenes.scene import (
    HELDOUT,
    LOOKS,
    SPLITS,
    Camera,
    ClipPlan,
    FrameScene,
    Light,
    Look,
    Part,
    Picture,
    Scene,
    Vector,
    View,
)
from data_gen.scenes.sounds import chord, tone, vowel
from data_gen.scenes.teapots import teapot_1dof, teapot_2dof, teapot_6dof
from data_gen.scenes.texts import clock, counting, weather

__all__ = [
    "HELDOUT",
    "LOOKS",
    "SCENES",
    "SPLITS",
    "Camera",
    "ClipPlan",
    "FrameScene",
    "Light",
    "Look",
    "Part",
    "Picture",
    "Scene",
    "Vector",
    "View",
    "count",
    "get",
    "is_variant",
    "parse",
    "rotation_z",
    "variant",
]

SCENES: dict[str, Callable[..., Scene]] = {
    "teapot_1dof": teapot_1dof,
    "teapot_2dof": teapot_2dof,
    "teapot_6dof": teapot_6dof,
    "objects": objects,
    "linked_arm": linked_arm,
    "fast_motion": fast_motion,
    "clock": clock,
    "weather": weather,
    "counting": counting,
    "tone": tone,
    "vowel": vowel,
    "chord": chord,
}

# The settings in the order of a variant's name, and how each is written there.
_WORDS = {
    "heldout": "heldout",
    "links": "{}links",
    "objects": "{}objects",
    "frames": "{}frames",
    "clips": "{}clips",
    "mesh": "{}",
    "colour": "colour",
    "light": "light",
    "background": "background",
    "seed": "seed{}",
}


def get(name):
    """Returns the scene of that name, or a variant of one.

    Raises:
      ValueError: if there is none, or a setting is out of range; the message lists what is valid.
    """
    scene, settings = parse(name)
    seed = settings.pop("seed", 0)
    vary = frozenset(look for look in LOOKS if settings.pop(look, False))
    made = SCENES[scene](**settings)
    if seed and not (made.is_drawn or vary):
        raise ValueError(f"scene {scene!r} has nothing random: a seed makes no difference")
    return dataclasses.replace(made, vary=vary)


def is_variant(name):
    """Whether a name is that of a scene, or begins as the names of a scene's variants do."""
    return any(name == scene or name.startswith(f"{scene}_") for scene in SCENES)


def variant(scene, **settings):
    """Returns the name of a scene's variant.

    Args:
      scene: a row of `SCENES`, or a variant.
      **settings: what to change, see the module's docstring; None or False changes nothing.

    Raises:
      ValueError: if there is no such scene, it has no such setting, or that is out of range.
    """
    scene, named = parse(scene)
    changed = {name: value for name, value in settings.items() if value is not None}
    named.update({name: value for name, value in changed.items() if value is not False})
    defaults = _settings(scene)
    for name in named:
        if name not in defaults:
            raise ValueError(f"scene {scene!r} has no setting {name}; it has {_list(defaults)}")
        if isinstance(named[name], int) and not 0 <= named[name] < 10**9:
            raise ValueError(f"{name} must be at least 0 and have 9 digits at most")
    words = [
        word.format(named[name])
        for name, word in _WORDS.items()
        if name in named and named[name] != defaults[name]
    ]
    full_name = "_".join([scene, *words])
    get(full_name)
    return full_name


def parse(name):
    """Returns the scene and the settings that a variant's name tells.

    Raises:
      ValueError: if there is no such scene, or a word of the name is none of its settings.
    """
    scene = max((s for s in SCENES if f"{name}_".startswith(f"{s}_")), key=len, default=None)
    if scene is None:
        raise ValueError(f"unknown scene {name!r}; valid: {', '.join(sorted(SCENES))}")
    defaults, settings = _settings(scene), {}
    for word in name[len(scene) :].split("_")[1:]:
        setting, value = _read(word)
        if setting not in defaults:
            raise ValueError(
                f"unknown setting {word!r} of scene {scene!r}; it has {_list(defaults)}"
            )
        settings[setting] = value
    return scene, settings


def count(scene, split, seed, stride=1):
    """Counts a split by its first clip, without drawing it; all its clips are of one length.

    Returns:
      The number of clips and the number of frames in all of them.
    """
    scene.check_split(split)
    clips = scene.clips[split]
    return clips, clips * len(scene.clip(split, 0, seed).strided(stride).poses)


def rotation_z(degrees):
    """Returns the [4, 4] rotation about the z axis, anticlockwise seen from above."""
    return motion.placed(motion.rotation("z", degrees))


def _settings(scene):
    """A scene's settings with their defaults."""
    own = inspect.signature(SCENES[scene]).parameters.values()
    defaults = {parameter.name: parameter.default for parameter in own}
    looks = dict.fromkeys(LOOKS if SCENES[scene]().frame is None else (), False)
    return {**defaults, **looks, "seed": 0}


def _read(word):
    """The setting that a word of a variant's name tells; (None, None) if it is not one."""
    if re.fullmatch("mesh-[a-z0-9]*-[0-9a-f]{8}", word):
        return "mesh", word
    for setting, form in _WORDS.items():
        if word == form:
            return setting, True
        if match := re.fullmatch(form.replace("{}", "([0-9]{1,9})"), word):
            return (setting, int(match[1])) if setting != "mesh" else (None, None)
    return None, None


def _list(settings):
    return ", ".join(sorted(settings))
