"""Many small solids that fly far between frames and bounce off the walls."""

import numpy as np

from data_gen import meshes, motion
from data_gen.scenes.scene import (
    CLIPS,
    FRAMES,
    Camera,
    ClipPlan,
    Light,
    Part,
    Scene,
    View,
    frame_gaps,
    generator,
    split_sizes,
)

_COLOURS = (
    (0.85, 0.30, 0.09),
    (0.07, 0.45, 0.85),
    (0.85, 0.70, 0.10),
    (0.12, 0.60, 0.15),
    (0.45, 0.15, 0.80),
    (0.80, 0.12, 0.40),
    (0.70, 0.70, 0.70),
    (0.10, 0.60, 0.60),
)
_SOLIDS = ("sphere", "cube", "cone", "torus")
_MOST = 12
_RADIUS = 0.7  # of six solids or fewer; more are smaller
WALL = 2.85  # how far from the middle a solid's centre may be
_TRAVEL = (1.0, 3.0)  # how many times the room's width a solid flies in a clip, both ways

_VIEW = View(
    camera=Camera(
        position=(0.0, -44.0, 0.0),
        target=(0.0, 0.0, 0.0),
        field_of_view=2 * float(np.degrees(np.arctan(4.0 / 44))),
    ),
    light=Light(
        direction=(-1.0, -0.9, 0.9), ambient=0.12, diffuse=0.95, specular=0.35, shininess=30.0
    ),
    background=(0.012, 0.016, 0.028),
)
# Of each kind of solid, so that more than one side is seen.
_STANCE = motion.rotation("x", 30.0) @ motion.rotation("z", 35.0)


def fast_motion(*, objects=6, frames=FRAMES, clips=CLIPS):
    """Small solids at high speed in a square room, each in a layer of its own: nothing collides.

    Left and right, up and down, a solid flies one to three times the room's width in a clip, at an
    even pace along the path that the walls reflect. No pose leaves the picture, since the walls
    are in it.

    Args:
      objects: how many, 2 to 12.
      frames: of a clip, odd.
      clips: of the training split.

    Raises:
      ValueError: if a setting is out of range.
    """
    if not 2 <= objects <= _MOST:
        raise ValueError(f"objects must be 2 to {_MOST}, got {objects}")
    gaps = frame_gaps(frames)
    radius = _RADIUS * np.sqrt(6 / max(objects, 6))
    depths = (np.arange(objects) - (objects - 1) / 2) * 2 * radius

    def clip(split, number, seed):
        rng = generator(split, number, seed)
        start = rng.uniform(-WALL, WALL, 2 * objects)
        travel = rng.uniform(*_TRAVEL, 2 * objects) * 2 * WALL
        travel *= rng.choice([-1.0, 1.0], 2 * objects)
        path = motion.line(start, start + travel, frames)
        return ClipPlan(motion.reflect(path, -WALL, WALL), cyclic=False, units_per_frame=0.0)

    def parts(pose):
        places = np.reshape(pose, (-1, 2))
        return [
            Part(
                _SOLIDS[i % len(_SOLIDS)],
                motion.placed(_STANCE, (x, depths[i], z), radius)
                @ meshes.centring(_SOLIDS[i % len(_SOLIDS)]),
                _COLOURS[i % len(_COLOURS)],
            )
            for i, (x, z) in enumerate(places)
        ]

    return Scene(
        description=(
            f"{objects} small solids fly fast, bounce off the walls and hide each other. "
            f"{2 * objects} degrees of freedom."
        ),
        pose_names=tuple(f"{name}_{i}" for i in range(objects) for name in ("x", "z")),
        gap_unit="",
        gaps=gaps,
        clips=split_sizes(clips),
        clip=clip,
        parts=parts,
        view=_VIEW,
    )
