"""The flags of `build` and `preview` that name a scene's variant."""

from absl import flags

_SCENE = flags.DEFINE_string(
    "scene", "teapot_1dof", "The scene to render, or a variant of one by its name."
)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 64, "Height and width in pixels: 32, 64 or 128.")
_CHANNELS = flags.DEFINE_integer(
    "channels", None, "3 for RGB, 1 for luminance. Default: 3; of text 1."
)
_WORKERS = flags.DEFINE_integer(
    "workers",
    None,
    "Rendering processes; 0 renders in this process. Default: one per CPU core.",
    lower_bound=0,
)
_MESH = flags.DEFINE_string("mesh", None, "A mesh file in place of the teapot.")
_SETTINGS = {
    "clips": flags.DEFINE_integer("clips", None, "Clips to train on; an eighth for each test."),
    "frames": flags.DEFINE_integer("frames", None, "Frames of a clip, odd."),
    "links": flags.DEFINE_integer("links", None, "Links of linked_arm, 2 to 7."),
    "objects": flags.DEFINE_integer(
        "objects", None, "Number of solids: 2 to 4 for objects, 2 to 12 for fast_motion."
    ),
    "seed": flags.DEFINE_integer("seed", None, "Seed of the clips. Default: 0."),
    "heldout": flags.DEFINE_boolean(
        "heldout", False, "Hold an arc of teapot_1dof out of training, for the split heldout."
    ),
    "colour": flags.DEFINE_boolean("colour", False, "Colours vary from clip to clip."),
    "light": flags.DEFINE_boolean("light", False, "The lamp's direction varies from clip to clip."),
    "background": flags.DEFINE_boolean(
        "background", False, "The background varies from clip to clip."
    ),
}


def variant():
    """Returns what the flags name: the scene's variant, image size, channels and workers.

    Raises:
      ValueError: if there is no such variant, or the mesh cannot be used.
      OSError: if the mesh cannot be read.
    """
    from data_gen import meshes, scenes
    from data_gen.kinds import KINDS

    settings = {name: flag.value for name, flag in _SETTINGS.items()}
    if _MESH.value is not None:
        scenes.variant(_SCENE.value, mesh="teapot")
        settings["mesh"] = meshes.add_file(_MESH.value)
    name = scenes.variant(_SCENE.value, **settings)
    channels = _CHANNELS.value
    if channels is None:
        channels = KINDS[scenes.get(name).kind].channels[0]
    return name, _IMAGE_SIZE.value, channels, _WORKERS.value
