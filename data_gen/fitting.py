"""The settings of a training that fit clips."""


def fitting_settings(length, cyclic=False, units_per_frame=0.0):
    """Returns fields of `tf_inbetween.Config`, which are flags of its command as well.

    Args:
      length: frames of a clip.
      cyclic, units_per_frame: see `data_gen.builder`.
    """
    unit = units_per_frame or 1.0
    if cyclic:  # All round. At half a turn the middle could be on either side.
        slots = min(length, 36)
        smallest, largest = 2 * length // slots, (length - 1) // 2 // 4 * 4
    else:  # A few of each of several clips, so that a batch shows all of the motion.
        slots = min(length, 9)
        smallest, largest = 4, (slots - 1) * ((length - 1) // (slots - 1))
    return {
        "clips_per_batch": 4,
        "frames_per_clip": slots,
        "inbetweens_per_clip": slots,
        "triplets_per_clip": 64,
        "min_gap": smallest * unit,
        "max_gap": largest * unit,
    }
