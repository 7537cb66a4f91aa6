"""The teapot, or your own mesh in its place, with one, two and six degrees of freedom."""

import numpy as np

from data_gen import meshes, motion
from data_gen.scenes.scene import (
    CLIPS,
    FRAMES,
    HELDOUT,
    SPLITS,
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
    split_sizes,
)

PORCELAIN = (0.85, 0.30, 0.09)
_BACKGROUND = (0.012, 0.016, 0.028)
_LAMP = {"ambient": 0.10, "diffuse": 0.95, "specular": 0.45, "shininess": 40.0}


# --- teapot_1dof: the pot on a turntable -----------------------------------------------------

# The camera looks down at 28 degrees, 20 units away; the angle of view lets spout and handle, swept
# through a full turn, take up 95 % of the picture's width.
_TURNTABLE_VIEW = View(
    camera=Camera(position=(0.0, -17.66, 11.39), target=(0.0, 0.0, 2.0), field_of_view=21.34),
    light=Light(direction=(-1.0, -0.55, 0.8), **_LAMP),
    background=_BACKGROUND,
)
# The largest ball about the target that stays in the picture whichever way it turns.
_TURNTABLE_RADIUS = 3.55

# First angle and step of each split, in degrees.
_TURNS = {"train": (0.0, 1.0), "validation": (0.5, 1.0), "test": (0.25, 0.5)}
# With an arc held out: the rest of the turn, which starts where the arc ends; and the arc but for
# 10 degrees at either end, the neighbourhood. Its middle shows the pot with the spout to the front.
_ARC = (230.0, 310.0)
_NEIGHBOURHOOD = 10.0


def teapot_1dof(*, heldout=False, mesh="teapot"):
    """The pot turns on a turntable, one full turn; nothing is random.

    Args:
      heldout: whether to hold an arc of 80 degrees out of all splits but `heldout`.
      mesh: a row of `meshes.MESHES`.
    """

    def clip(split, number, seed):
        del number, seed
        start, step = _TURNS.get(split, _TURNS["test"])
        if not heldout:
            angles = start + step * np.arange(round(360 / step))
            return ClipPlan(poses=angles[:, None], cyclic=True, units_per_frame=step)
        low, high = _ARC
        if split == HELDOUT:
            low, high = low + _NEIGHBOURHOOD, high - _NEIGHBOURHOOD
            angles = np.arange(low, high + step / 2, step)
        else:
            angles = np.arange(high + start, low + 360 + step / 2 - start, step)
        return ClipPlan(poses=angles[:, None], cyclic=False, units_per_frame=step)

    def parts(pose):
        turn = motion.placed(motion.rotation("z", pose[0]))
        if mesh != "teapot":
            on_table = motion.placed(np.eye(3), (0.0, 0.0, 2.0), _TURNTABLE_RADIUS)
            turn = turn @ on_table @ meshes.centring(mesh)
        return [Part(mesh, turn, PORCELAIN)]

    arc = ", but for an arc of 80 degrees that only the split `heldout` shows" if heldout else ""
    return Scene(
        description=(
            f"The Utah teapot turns about its vertical axis through a full circle{arc}, under a "
            "lamp that stands still. One degree of freedom."
        ),
        pose_names=("azimuth",),
        gap_unit="°",
        # An evaluation needs gaps that all clips have, and those of `heldout` are 60 degrees long.
        gaps=(10.0, 20.0, 40.0, 60.0) if heldout else (10.0, 20.0, 40.0, 60.0, 90.0, 120.0),
        clips=dict.fromkeys((*SPLITS, HELDOUT) if heldout else SPLITS, 1),
        clip=clip,
        parts=parts,
        view=_TURNTABLE_VIEW,
        is_drawn=False,
    )


# --- teapot_2dof: the pot turned and tilted ----------------------------------------------------

_HALF_WIDTH = 4.0  # of the picture, at the origin
_LEVEL_VIEW = View(
    camera=Camera(
        position=(0.0, -20.0, 0.0),
        target=(0.0, 0.0, 0.0),
        field_of_view=2 * float(np.degrees(np.arctan(_HALF_WIDTH / 20))),
    ),
    light=Light(direction=(-1.0, -0.9, 0.9), **_LAMP),
    background=_BACKGROUND,
)
_RADIUS = 3.75
_ELEVATIONS = (-10.0, 70.0)
_LONGEST = 120.0  # degrees of azimuth from a clip's first frame to its last
_SHORTEST = 50.0  # degrees along the path
# The patch held out, its centre and half its sides in (azimuth, elevation), and the neighbourhood
# within it that no split shows.
_PATCH_CENTRE = np.array([270.0, 30.0])
_PATCH = np.array([45.0, 25.0])
_SHORTEST_IN_PATCH = 30.0


def teapot_2dof(*, frames=FRAMES, clips=CLIPS, mesh="teapot"):
    """The pot seen from changing azimuth and elevation, straight from one to another.

    Args:
      frames: of a clip, odd.
      clips: of the training split.
      mesh: a row of `meshes.MESHES`.
    """
    gaps = frame_gaps(frames)
    sizes = split_sizes(clips)

    def clip(split, number, seed):
        rng = generator(split, number, seed)

        def draw():
            if split == HELDOUT:
                half = _PATCH - _NEIGHBOURHOOD
                ends = _PATCH_CENTRE + rng.uniform(-half, half, (2, 2))
            else:
                azimuth = rng.uniform(0, 360)
                turned = azimuth + rng.uniform(-_LONGEST, _LONGEST)
                ends = np.stack([[azimuth, turned], rng.uniform(*_ELEVATIONS, 2)], -1)
            return motion.line(*ends, frames)

        def fits(poses):
            length = np.linalg.norm(poses[-1] - poses[0])
            if split == HELDOUT:
                return bool(length >= _SHORTEST_IN_PATCH)
            return bool(length >= _SHORTEST) and not in_patch(poses).any()

        return ClipPlan(first_fitting(draw, fits), cyclic=False, units_per_frame=0.0)

    def parts(pose):
        matrix = motion.rotation("x", pose[1]) @ motion.rotation("z", pose[0])
        return [Part(mesh, motion.placed(matrix, scale=_RADIUS) @ meshes.centring(mesh), PORCELAIN)]

    return Scene(
        description=(
            "The Utah teapot seen from azimuth and elevation that change together, along a "
            "straight line between two random views. Two degrees of freedom."
        ),
        pose_names=("azimuth", "elevation"),
        gap_unit="",
        gaps=gaps,
        clips={**sizes, HELDOUT: sizes["test"]},
        clip=clip,
        parts=parts,
        view=_LEVEL_VIEW,
    )


def in_patch(poses):
    """Whether (azimuth, elevation) [..., 2] lies in the patch that `teapot_2dof` holds out."""
    offset = np.asarray(poses) - _PATCH_CENTRE
    offset[..., 0] = (offset[..., 0] + 180) % 360 - 180
    return (np.abs(offset) <= _PATCH).all(axis=-1)


# --- teapot_6dof: the pot thrown about ---------------------------------------------------------

_SMALL_RADIUS = 2.3
_ROOM = np.array([2.4, 4.0, 2.4])  # how far from the origin the pot's centre may be, x, y, z
POSE_NAMES = ("qw", "qx", "qy", "qz", "x", "y", "z")


def teapot_6dof(*, frames=FRAMES, clips=CLIPS, mesh="teapot"):
    """The pot turns from one random rotation to another and flies from one place to another.

    Rotations are uniform in SO(3): if the pot leaves the picture, only its positions are sampled
    again.

    Args:
      frames: of a clip, odd.
      clips: of the training split.
      mesh: a row of `meshes.MESHES`.
    """
    gaps = frame_gaps(frames)

    def clip(split, number, seed):
        rng = generator(split, number, seed)
        turn = motion.slerp(motion.uniform_rotation(rng), motion.uniform_rotation(rng), frames)
        poses = first_fitting(
            lambda: np.concatenate(
                [turn, motion.line(*rng.uniform(-_ROOM, _ROOM, (2, 3)), frames)], axis=1
            ),
            lambda poses: in_picture(_LEVEL_VIEW, (part for pose in poses for part in parts(pose))),
        )
        return ClipPlan(poses, cyclic=False, units_per_frame=0.0)

    def parts(pose):
        matrix = motion.quaternion_matrix(pose[:4])
        return [
            Part(
                mesh,
                motion.placed(matrix, pose[4:], _SMALL_RADIUS) @ meshes.centring(mesh),
                PORCELAIN,
            )
        ]

    return Scene(
        description=(
            "The Utah teapot turns the shorter way between two rotations drawn evenly from all "
            "there are, and flies straight between two places. Six degrees of freedom."
        ),
        pose_names=POSE_NAMES,
        gap_unit="",
        gaps=gaps,
        clips=split_sizes(clips),
        clip=clip,
        parts=parts,
        view=_LEVEL_VIEW,
    )
