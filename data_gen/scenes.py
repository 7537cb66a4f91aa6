"""Scenes: what moves, how, and from where it is seen. Nothing here knows how it is drawn.

A scene turns a split and a seed into clip plans (a pose for every frame), and a pose into parts
(solids placed in the world). World coordinates are right-handed with z up; colours are linear
RGB in [0, 1]; angles in poses are in degrees.

A new scene is one function that plans its clips, one that places its parts, and one row of
`SCENES`.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

Vector = tuple[float, float, float]

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Part:
    """One solid in the world.

    Attributes:
      mesh: its name in `data_gen.meshes.MESHES`.
      transform: [4, 4], from the mesh's coordinates to the world's; affine and invertible.
      colour: linear RGB in [0, 1].
    """

    mesh: str
    transform: Sequence[Sequence[float]] | np.ndarray
    colour: Vector


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera with a square picture, upright with respect to world z.

    Attributes:
      position: where it stands.
      target: the point seen in the middle of the picture.
      field_of_view: angle between the left and right edge of the picture, in degrees.
    """

    position: Vector
    target: Vector
    field_of_view: float


@dataclasses.dataclass(frozen=True)
class Light:
    """A distant lamp, fixed in the world, and an even light from everywhere.

    Attributes:
      direction: from the solid towards the lamp; any length.
      ambient: share of a solid's colour seen without the lamp.
      diffuse: share added where the surface faces the lamp (Lambert).
      specular: strength of the white highlight (Blinn-Phong).
      shininess: exponent of the highlight; larger is smaller and sharper.
    """

    direction: Vector
    ambient: float
    diffuse: float
    specular: float = 0.0
    shininess: float = 1.0


@dataclasses.dataclass(frozen=True)
class View:
    """Everything about a picture that stays the same while the parts move."""

    camera: Camera
    light: Light
    background: Vector


@dataclasses.dataclass(frozen=True)
class ClipPlan:
    """The poses of one clip, before anything is drawn.

    Attributes:
      poses: float64 [K, P], one pose for each of K frames.
      closed: whether the last frame leads back to the first, at the same pace.
      pace: gap units per frame, 0 if the motion has no such unit.
    """

    poses: np.ndarray
    closed: bool
    pace: float

    def strided(self, stride: int) -> "ClipPlan":
        """Keeps every stride-th frame.

        Args:
          stride: at least 1.

        Returns:
          The plan with ceil(K / stride) poses and stride times the pace.

        Raises:
          ValueError: if stride < 1, or the clip is closed and stride does not divide K.
        """
        if stride < 1:
            raise ValueError(f"the stride must be at least 1, got {stride}")
        if self.closed and len(self.poses) % stride:
            raise ValueError(
                f"a closed clip of {len(self.poses)} frames has no even pace at stride {stride}; "
                "use a divisor"
            )
        return ClipPlan(self.poses[::stride], self.closed, self.pace * stride)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A named generator of clips.

    Attributes:
      description: one or two sentences for the data set's page.
      pose_names: the name of each of the P numbers of a pose.
      gap_unit: what `ClipPlan.pace` and `gaps` count, such as "°".
      gaps: the gaps, in gap_unit, at which in-betweens are to be judged.
      plan: (split, seed) -> the split's clip plans, the same ones every time.
      parts: pose [P] -> the solids in the world.
      view: camera, light and background.
    """

    description: str
    pose_names: tuple[str, ...]
    gap_unit: str
    gaps: tuple[float, ...]
    plan: Callable[[str, int], Iterator[ClipPlan]]
    parts: Callable[[Sequence[float]], list[Part]]
    view: View


def rotation_z(degrees: float) -> np.ndarray:
    """Returns the [4, 4] rotation about the z axis, anticlockwise seen from above."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)


def check_split(split: str) -> None:
    """Raises ValueError, listing the valid ones, if there is no split of that name."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; valid: {', '.join(SPLITS)}")


def get(name: str) -> Scene:
    """Returns the scene of that name.

    Raises:
      ValueError: if there is none; the message lists those there are.
    """
    if name not in SCENES:
        raise ValueError(f"unknown scene {name!r}; valid: {', '.join(sorted(SCENES))}")
    return SCENES[name]


def count(scene: Scene, split: str, seed: int, stride: int = 1) -> tuple[int, int]:
    """Counts a split without drawing it.

    Returns:
      The number of clips and the number of frames in all of them.
    """
    lengths = (len(plan.strided(stride).poses) for plan in scene.plan(split, seed))
    clips, frames = 0, 0
    for clips, frames in enumerate(itertools.accumulate(lengths), 1):  # noqa: B007
        pass
    return clips, frames


# --- teapot_1dof: the pot on a turntable -----------------------------------------------------

# The camera looks down at 28 degrees, 20 units away; the angle of view lets spout and handle, swept
# through a full turn, take up 95 % of the picture's width.
_TEAPOT_VIEW = View(
    camera=Camera(position=(0.0, -17.66, 11.39), target=(0.0, 0.0, 2.0), field_of_view=21.34),
    light=Light(
        direction=(-1.0, -0.55, 0.8), ambient=0.10, diffuse=0.95, specular=0.45, shininess=40.0
    ),
    background=(0.012, 0.016, 0.028),
)
_PORCELAIN = (0.85, 0.30, 0.09)

# First angle and step of each split, in degrees.
_TURNS = {"train": (0.0, 1.0), "validation": (0.5, 1.0), "test": (0.25, 0.5)}


def _teapot_1dof_plan(split: str, seed: int) -> Iterator[ClipPlan]:
    """One full turn; nothing is random, so the seed changes nothing."""
    del seed
    check_split(split)
    start, step = _TURNS[split]
    angles = start + step * np.arange(round(360 / step))
    yield ClipPlan(poses=angles[:, None], closed=True, pace=step)


def _teapot_1dof_parts(pose: Sequence[float]) -> list[Part]:
    return [Part("teapot", rotation_z(pose[0]), _PORCELAIN)]


SCENES: dict[str, Scene] = {
    "teapot_1dof": Scene(
        description=(
            "The Utah teapot turns about its vertical axis through a full circle, under a lamp "
            "that stands still. One degree of freedom."
        ),
        pose_names=("azimuth",),
        gap_unit="°",
        gaps=(10.0, 20.0, 40.0, 60.0, 90.0, 120.0),
        plan=_teapot_1dof_plan,
        parts=_teapot_1dof_parts,
        view=_TEAPOT_VIEW,
    ),
}
