"""An arm of two to seven links whose joints turn at an even pace."""

import numpy as np

from data_gen import motion
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
    split_sizes,
)

_COLOURS = (
    (0.85, 0.30, 0.09),
    (0.85, 0.70, 0.10),
    (0.12, 0.60, 0.15),
    (0.07, 0.45, 0.75),
    (0.35, 0.15, 0.75),
    (0.80, 0.12, 0.40),
    (0.60, 0.60, 0.60),
)
_STEEL = (0.25, 0.27, 0.30)
BASE = np.array([0.0, 0.0, -1.6])
_REACH = 5.2  # of the whole arm, stretched
_VIEW = View(
    camera=Camera(position=(0.0, -22.0, 3.0), target=(0.0, 0.0, 0.0), field_of_view=20.6),
    light=Light(
        direction=(-1.0, -1.2, 1.0), ambient=0.10, diffuse=0.95, specular=0.30, shininess=40.0
    ),
    background=(0.012, 0.016, 0.028),
)
# The base leans at most so far from upright, a joint bends at most so far, in degrees; and how far
# the joint that turns most turns in a clip.
_LEAN, _BEND = 90.0, 130.0
_LEAST_TURN, _MOST_TURN = 45.0, 120.0


def linked_arm(*, links=3, frames=FRAMES, clips=CLIPS):
    """An arm on a fixed base, folding like a ruler: each link lies before the one it hangs on.

    Args:
      links: 2 to 7.
      frames: of a clip, odd.
      clips: of the training split.

    Raises:
      ValueError: if a setting is out of range.
    """
    if not 2 <= links <= len(_COLOURS):
        raise ValueError(f"links must be 2 to {len(_COLOURS)}, got {links}")
    gaps = frame_gaps(frames)
    lengths = np.full(links, _REACH / links)
    thickness = min(0.30, 1.6 / links)  # the radius of a link
    limits = np.array([_LEAN] + [_BEND] * (links - 1))

    def clip(split, number, seed):
        rng = generator(split, number, seed)

        def fits(poses):
            turn = np.abs(poses[-1] - poses[0]).max()
            return _LEAST_TURN <= turn <= _MOST_TURN and in_picture(
                _VIEW, (part for pose in poses for part in parts(pose))
            )

        poses = first_fitting(
            lambda: motion.line(*rng.uniform(-limits, limits, (2, links)), frames), fits
        )
        return ClipPlan(poses, cyclic=False, units_per_frame=0.0)

    def parts(pose):
        joints, headings = motion.forward_kinematics(pose, lengths)
        depth = -2 * thickness * np.arange(links)
        foot = motion.placed(np.eye(3), BASE - [0, 0, 0.5], (0.9, 0.9, 0.25))
        placed = [Part("cylinder", foot, _STEEL)]
        for i in range(links):
            matrix = motion.rotation("y", headings[i])
            ends = [BASE + np.array([x, depth[i], z]) for x, z in joints[i : i + 2]]
            # Cylinders reach from z = -1 to 1.
            scale = (thickness, thickness, lengths[i] / 2)
            placed.append(
                Part("cylinder", motion.placed(matrix, np.mean(ends, 0), scale), _COLOURS[i])
            )
            placed += [
                Part("sphere", motion.placed(np.eye(3), end, 1.15 * thickness), _COLOURS[i])
                for end in ends
            ]
        return placed

    return Scene(
        description=(
            f"An arm of {links} links on a fixed base; all its joints turn at an even pace. "
            f"{links} degrees of freedom."
        ),
        pose_names=tuple(f"joint_{i}" for i in range(links)),
        gap_unit="",
        gaps=gaps,
        clips=split_sizes(clips),
        clip=clip,
        parts=parts,
        view=_VIEW,
    )
