"""Two to four different solids that turn and fly past each other."""

import itertools

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
    first_fitting,
    frame_gaps,
    generator,
    in_picture,
    project,
    split_sizes,
)

SOLIDS = {
    "teapot": (0.85, 0.30, 0.09),
    "cube": (0.07, 0.30, 0.85),
    "torus": (0.12, 0.60, 0.15),
    "cone": (0.85, 0.70, 0.10),
}
RADIUS = 1.35  # of three solids or fewer; four are smaller, or few draws would fit

_VIEW = View(
    camera=Camera(position=(0.0, -22.0, 0.0), target=(0.0, 0.0, 0.0), field_of_view=20.6),
    light=Light(
        direction=(-1.0, -0.9, 0.9), ambient=0.10, diffuse=0.95, specular=0.35, shininess=40.0
    ),
    background=(0.012, 0.016, 0.028),
)
_ROOM = np.array([2.7, 3.5, 2.7])


def objects(*, objects=3, frames=FRAMES, clips=CLIPS, mesh="teapot"):
    """Solids with rotations and places of their own; in every clip one passes before another.

    Args:
      objects: how many, 2 to 4: the first of teapot, cube, torus and cone.
      frames: of a clip, odd.
      clips: of the training split.
      mesh: in place of the teapot, a row of `meshes.MESHES`.

    Raises:
      ValueError: if a setting is out of range.
    """
    if not 2 <= objects <= len(SOLIDS):
        raise ValueError(f"objects must be 2 to {len(SOLIDS)}, got {objects}")
    solids = [(mesh if solid == "teapot" else solid, SOLIDS[solid]) for solid in SOLIDS][:objects]
    gaps = frame_gaps(frames)
    radius = RADIUS * np.sqrt(3 / max(objects, 3))

    def clip(split, number, seed):
        rng = generator(split, number, seed)
        turns = [
            motion.slerp(motion.uniform_rotation(rng), motion.uniform_rotation(rng), frames)
            for _ in solids
        ]

        def draw():
            places = [motion.line(*rng.uniform(-_ROOM, _ROOM, (2, 3)), frames) for _ in solids]
            pairs = zip(turns, places, strict=True)
            return np.concatenate([column for pair in pairs for column in pair], axis=1)

        def fits(poses):
            return (
                not _touch(poses, radius)
                and hide_each_other(poses, radius)
                and in_picture(_VIEW, (part for pose in poses for part in parts(pose)))
            )

        return ClipPlan(first_fitting(draw, fits), cyclic=False, units_per_frame=0.0)

    def parts(pose):
        return [
            Part(
                solid,
                motion.placed(motion.quaternion_matrix(own[:4]), own[4:], radius)
                @ meshes.centring(solid),
                colour,
            )
            for (solid, colour), own in zip(solids, np.reshape(pose, (-1, 7)), strict=True)
        ]

    return Scene(
        description=(
            f"{objects} different solids turn and fly straight, each in its own way, and pass in "
            f"front of each other. {6 * objects} degrees of freedom."
        ),
        pose_names=tuple(
            f"{solid}_{name}"
            for solid, _ in solids
            for name in ("qw", "qx", "qy", "qz", "x", "y", "z")
        ),
        gap_unit="",
        gaps=gaps,
        clips=split_sizes(clips),
        clip=clip,
        parts=parts,
        view=_VIEW,
    )


def _places(poses):
    """[K, 7 N] -> [N, K, 3]."""
    return np.moveaxis(poses.reshape(len(poses), -1, 7)[..., 4:], 1, 0)


def _touch(poses, radius):
    """Whether the balls round two solids ever meet."""
    return any(
        np.linalg.norm(a - b, axis=-1).min() < 2 * radius
        for a, b in itertools.combinations(_places(poses), 2)
    )


def hide_each_other(poses, radius=RADIUS):
    """Whether, in some frame, the centres of two solids are seen within one radius of each other.

    Args:
      poses: [K, 7 N].
      radius: of the solids, in the world.
    """
    radius /= -_VIEW.camera.position[1] * np.tan(np.radians(_VIEW.camera.field_of_view / 2))
    seen = project(_VIEW.camera, _places(poses))
    return any(
        np.linalg.norm(a - b, axis=-1).min() < radius for a, b in itertools.combinations(seen, 2)
    )
