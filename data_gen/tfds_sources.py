"""The public data sets of TensorFlow Datasets that can be imported: a row of `SOURCES` for each."""

import dataclasses

from data_gen.clip_store import Motion, gaps

_FRAME_NUMBER = "frame"
_ORIENTATION_STEP = 60 / 14  # Degrees.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """How clips are read out of a data set of TFDS.

    Attributes:
      clip: what a clip is, in words.
      download: how much TFDS fetches for it.
      splits: those that the source has.
      image: the feature that holds a clip's frames or, where there is a `sweep`, one picture.
      length: frames of a clip.
      motion: of its clips.
      first_pose: of the first frame; the next ones are a pace apart, or 1 where that is 0.
      sweep: the class label that is a picture's place in its clip; "" where an example is a clip.
      fixed: the class labels that all pictures of a clip share.
      owner: how many of these, from the first on, name what is in one split only.
    """

    clip: str
    download: str
    splits: tuple[str, ...]
    image: str
    length: int
    motion: Motion
    first_pose: float = 0.0
    sweep: str = ""
    fixed: tuple[str, ...] = ()
    owner: int = 1


SOURCES = {
    "moving_mnist": Source(
        clip="two digits that bounce about",
        download="0.82 GB",
        splits=("test",),
        image="image_sequence",
        length=20,
        motion=Motion(pose_names=(_FRAME_NUMBER,), gaps=tuple(gaps(20))),
    ),
    "bair_robot_pushing_small": Source(
        clip="a robot's arm pushes things about, seen by the main camera",
        download="32 GB",
        splits=("train", "test"),
        image="image_main",
        length=30,
        motion=Motion(pose_names=(_FRAME_NUMBER,), gaps=tuple(gaps(30))),
    ),
    "smallnorb": Source(
        clip="a toy at one elevation and lighting all round, by the left camera",
        download="0.26 GB",
        splits=("train", "test"),
        image="image",
        length=18,
        motion=Motion(
            pose_names=("azimuth",),
            gaps=(80.0, 160.0),
            gap_unit="°",
            units_per_frame=20.0,
            cyclic=True,
        ),
        sweep="label_azimuth",
        fixed=("label_category", "instance", "label_elevation", "label_lighting"),
        owner=2,
    ),
    # Its other ordered factor, the scale, has 8 values: frames for one gap only.
    "shapes3d": Source(
        clip="a solid in a room, the view turning from -30° to 30°",
        download="0.27 GB",
        splits=("train",),
        image="image",
        length=15,
        motion=Motion(
            pose_names=("orientation",),
            gaps=tuple(n * _ORIENTATION_STEP for n in (4, 8, 12)),
            gap_unit="°",
            units_per_frame=_ORIENTATION_STEP,
        ),
        first_pose=-30.0,
        sweep="label_orientation",
        fixed=(
            "label_floor_hue",
            "label_wall_hue",
            "label_object_hue",
            "label_scale",
            "label_shape",
        ),
        owner=5,
    ),
    "coil100": Source(
        clip="an object all round on a turntable",
        download="0.13 GB",
        splits=("train",),
        image="image",
        length=72,
        motion=Motion(
            pose_names=("angle",),
            gaps=(20.0, 40.0, 80.0, 160.0),
            gap_unit="°",
            units_per_frame=5.0,
            cyclic=True,
        ),
        sweep="angle_label",
        fixed=("object_id",),
    ),
}
