"""The parts of a scene, and functions that draw clips and keep solids in view for all scenes."""

import colorsys
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from data_gen import meshes

Vector = tuple[float, float, float]

SPLITS = ("train", "validation", "test")
# Of some scenes, a second test split: poses with a neighbourhood that no other split has seen.
HELDOUT = "heldout"

# What may vary from clip to clip.
LOOKS = ("colour", "light", "background")

# Of a clip, and clips of the training split, unless a setting says otherwise.
FRAMES, CLIPS = 33, 480

# How often poses are sampled again before a scene gives up.
_TRIES = 10_000
# Solids keep this share of the picture's half-width away from its edge.
_MARGIN = 0.02
_LAMP_TURN = 60.0  # degrees
_BRIGHTEST_BACKGROUND = 0.1

T = TypeVar("T")


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
      cyclic: whether the last frame leads back to the first, at the same pace.
      units_per_frame: gap units per frame, 0 if the motion has no such unit.
    """

    poses: np.ndarray
    cyclic: bool
    units_per_frame: float

    def strided(self, stride):
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
        if self.cyclic and len(self.poses) % stride:
            raise ValueError(
                f"a closed clip of {len(self.poses)} frames has no even pace at stride {stride}; "
                "use a divisor"
            )
        return ClipPlan(self.poses[::stride], self.cyclic, self.units_per_frame * stride)


@dataclasses.dataclass(frozen=True)
class Look:
    """What a clip looks like, as far as it may vary from clip to clip.

    Attributes:
      colours: linear RGB of each part, in the order of the parts.
      light: from the solids towards the lamp; any length.
      background: linear RGB.
    """

    colours: tuple[Vector, ...]
    light: Vector
    background: Vector


@dataclasses.dataclass(frozen=True)
class Picture:
    """What one frame shows.

    Attributes:
      parts: the solids, in any order.
      light: direction of the lamp in place of the view's; None for the view's.
      background: linear RGB in place of the view's; None for the view's.
    """

    parts: Sequence[Part]
    light: Vector | None = None
    background: Vector | None = None


@dataclasses.dataclass(frozen=True)
class Scene:
    """A named generator of clips.

    Every clip depends only on its split, its number and the seed, not on other clips.

    Attributes:
      description: one or two sentences for the data set's page.
      pose_names: the name of each of the P numbers of a pose.
      gap_unit: what `ClipPlan.units_per_frame` and `gaps` count, such as "°"; empty for frames.
      gaps: the gaps, in gap_unit, at which to evaluate in-betweens.
      clips: how many clips each split has.
      clip: (split, number of the clip, seed) -> its plan.
      parts: pose [P] -> the solids in the world.
      view: camera, light and background.
      is_drawn: whether clips are drawn at random, so that the seed matters.
      vary: which of `LOOKS` vary from clip to clip.
      kind: of the frames, a row of `data_gen.kinds.KINDS`.
      frame: None; of a `FrameScene` what makes a frame of a pose.
    """

    description: str
    pose_names: tuple[str, ...]
    gap_unit: str
    gaps: tuple[float, ...]
    clips: Mapping[str, int]
    clip: Callable[[str, int, int], ClipPlan]
    parts: Callable[[Sequence[float]], list[Part]]
    view: View
    is_drawn: bool = True
    vary: frozenset[str] = frozenset()
    kind: str = "pictures"
    frame: Callable[[Sequence[float], tuple[int, int, int]], np.ndarray] | None = None

    def plan(self, split, seed):
        """Returns the plans of a split's clips one by one, the same ones every time.

        Raises:
          ValueError: if there is no such split; the message lists those there are.
        """
        self.check_split(split)
        return (self.clip(split, number, seed) for number in range(self.clips[split]))

    def check_split(self, split):
        """Raises ValueError, listing the valid ones, if there is no split of that name."""
        if split not in self.clips:
            raise ValueError(f"unknown split {split!r}; valid: {', '.join(self.clips)}")

    def look(self, split, number, seed, parts):
        """Returns the look of a clip: the scene's own except for what varies.

        Parts of one colour keep one colour. A colour's hue is drawn evenly; the lamp's direction
        evenly from those within 60 degrees of the scene's own; the background evenly from dark
        colours.

        Args:
          split, number, seed: which clip.
          parts: the solids of one of its frames.
        """
        rng = generator(split, number, seed, stream=1)
        drawn = {
            colour: colorsys.hsv_to_rgb(
                rng.uniform(0.0, 1.0), rng.uniform(0.6, 1.0), rng.uniform(0.5, 0.95)
            )
            for colour in dict.fromkeys(part.colour for part in parts)
        }
        light = near(rng, self.view.light.direction, _LAMP_TURN)
        background = rng.uniform(0.0, _BRIGHTEST_BACKGROUND, 3)
        return Look(
            colours=tuple(
                drawn[part.colour] if "colour" in self.vary else part.colour for part in parts
            ),
            light=_vector(light) if "light" in self.vary else self.view.light.direction,
            background=(_vector(background) if "background" in self.vary else self.view.background),
        )

    def picture(self, pose, look):
        """Returns what a frame shows at a pose."""
        parts = self.parts(pose)
        if "colour" in self.vary:
            parts = [
                dataclasses.replace(part, colour=colour)
                for part, colour in zip(parts, look.colours, strict=True)
            ]
        return Picture(
            parts,
            look.light if "light" in self.vary else None,
            look.background if "background" in self.vary else None,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameScene(Scene):
    """A scene whose frames are made of poses without a renderer: of text, of sound.

    Attributes:
      frame: (pose [P], shape of a frame) -> the frame, uint8 [H, W, C].
      others: as of `Scene`; no parts and no view.
    """

    frame: Callable[[Sequence[float], tuple[int, int, int]], np.ndarray] = dataclasses.field()
    parts: Callable[[Sequence[float]], list[Part]] = lambda pose: []
    view: View | None = None

    def look(self, split, number, seed, parts):
        """There is none."""

    def picture(self, pose, look):
        """A pose is all that the frame is made of."""
        return pose


def split_sizes(clips):
    """Returns the number of clips of each split, given that of train: an eighth for each other.

    Raises:
      ValueError: if clips < 1.
    """
    if clips < 1:
        raise ValueError(f"clips must be at least 1, got {clips}")
    return {"train": clips, "validation": max(clips // 8, 1), "test": max(clips // 8, 1)}


def frame_gaps(frames):
    """Returns the gaps, in frames, at which to judge clips of so many frames.

    A quarter, half and the whole of a clip, rounded down to multiples of four, so that there are
    frames at 1/4, 1/2 and 3/4; of clips of three frames the whole.

    Raises:
      ValueError: if frames is even or below 3: a clip could have no middle frame.
    """
    if frames < 3 or frames % 2 == 0:
        raise ValueError(f"frames must be odd and at least 3, got {frames}")
    gaps = {(frames - 1) // part // 4 * 4 for part in (4, 2, 1)}
    return tuple(float(gap) for gap in sorted(gaps - {0}) or [2])


def generator(split, number, seed, stream=0):
    """Returns the random numbers of one clip, which no other clip has.

    Args:
      split: one of `SPLITS`, or `HELDOUT`.
      number: of the clip in its split.
      seed: at least 0.
      stream: 0 for poses, 1 for looks.

    Raises:
      ValueError: if the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"the seed must be at least 0, got {seed}")
    return np.random.default_rng([seed, (*SPLITS, HELDOUT).index(split), number, stream])


def first_fitting(draw, fits):
    """Draws until something fits.

    Raises:
      ValueError: if nothing does in 10,000 tries.
    """
    for _ in range(_TRIES):
        drawn = draw()
        if fits(drawn):
            return drawn
    raise ValueError(f"no clip of this scene fits in {_TRIES} tries: are its solids too large?")


def in_picture(view, parts):
    """Whether solids lie wholly inside the picture, with a margin of 2 % of its half-width.

    The rule by which poses are rejected: the bounding box of each solid's outline
    (`meshes.outline`), projected, must stay within the margin.

    Args:
      view: of its camera.
      parts: the solids, of one frame or of many; read up to the first one that is not inside.
    """
    return all(_is_in_picture(view.camera, part) for part in parts)


def _is_in_picture(camera, part):
    transform = np.asarray(part.transform)
    points = meshes.outline(part.mesh) @ transform[:3, :3].T + transform[:3, 3]
    columns_rows = project(camera, points)
    return bool(np.abs(columns_rows).max() <= 1 - _MARGIN)


def project(camera, points):
    """Projects points into the picture.

    Args:
      camera: a camera.
      points: [..., 3], in the world.

    Returns:
      float64 [..., 2], (right, up) from the picture's middle, its edges at -1 and 1; infinite for
      points behind the camera.
    """
    forward = np.subtract(camera.target, camera.position).astype(np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    relative = points - np.asarray(camera.position)
    depth = (relative @ forward)[..., None]
    across = np.stack([relative @ right, relative @ np.cross(right, forward)], -1)
    half_width = np.tan(np.radians(camera.field_of_view) / 2)
    return np.where(depth > 0, across / np.where(depth > 0, depth * half_width, 1.0), np.inf)


def near(rng, direction, degrees):
    """Draws a unit vector [3] evenly from those within some degrees of a direction."""
    axis = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    c = rng.uniform(np.cos(np.radians(degrees)), 1.0)
    across = np.cross(axis, rng.normal(size=3))
    across /= np.linalg.norm(across)
    return c * axis + np.sqrt(1 - c * c) * across


def _vector(values):
    return tuple(float(value) for value in values)
