"""Colours of pictures: embedded ICC profiles are converted to sRGB, by LittleCMS."""

import io

from PIL import ImageCms

# By the profile's colour space: the mode that its colours are read in, and the modes of pictures
# that have such colours. Browsers too read grey by a profile of RGB, and no other mixture.
_SPACES = {
    "RGB": ("RGB", ("RGB", "RGBA", "RGBX", "P", "PA", "L", "LA")),
    "GRAY": ("L", ("L", "LA")),
    "CMYK": ("CMYK", ("CMYK",)),
    "Lab": ("LAB", ("LAB",)),
}


def to_srgb(picture):
    """Returns a picture in sRGB.

    Args:
      picture: of 8 bits and any mode. Its `info["icc_profile"]` says what its colours mean.

    Returns:
      One in mode RGB or RGBA without a profile; the picture itself if it has no profile, or one
      that is damaged or for another colour space, which browsers ignore too.
    """
    profile = picture.info.get("icc_profile")
    if not profile or not isinstance(profile, bytes):  # A PNG may have a text of that name.
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode, modes = _SPACES[source.profile.xcolor_space.strip()]
        if picture.mode not in modes:
            return picture
        opacity = picture.convert("RGBA").getchannel("A") if _is_clear(picture) else None
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(
            picture.convert(mode), source, target, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, KeyError, OSError):
        return picture
    converted.info.clear()
    if opacity is not None:
        converted.putalpha(opacity)
    return converted


def _is_clear(picture):
    return picture.mode not in ("CMYK", "LAB") and picture.has_transparency_data
