"""Pictures cut to a box."""

import numpy as np
import PIL.Image
import pytest
from footage_files import moving_square
from hostile_files import QUICK, outcome_of
from hypothesis import given
from hypothesis import strategies as st

from frame_io import pictures


def test_the_box_of_a_crop():
    picture = PIL.Image.fromarray(moving_square(1)[0])
    frame = pictures.convert(picture, 8, 3, crop=(0, 24, 8, 8))
    np.testing.assert_array_equal(frame, np.broadcast_to([255, 0, 0], (8, 8, 3)))
    said = []
    wide = pictures.convert(picture, 6, 3, crop=(10, 0, 20, 6), notify=said.append)
    np.testing.assert_array_equal(wide, np.broadcast_to([0, 0, 255], (6, 6, 3)))
    assert said == ["64x48 cut to the 6x6 at 17,0"]
    with pytest.raises(ValueError, match="64x48: the box 60,0,8,8 is not in it"):
        pictures.convert(picture, 8, 3, crop=(60, 0, 8, 8))
    assert pictures.parse_crop("centre") is None
    assert pictures.parse_crop("1,2,3,4") == (1, 2, 3, 4)
    for bad in ("middle", "1,2,3", "1,2,0,4", "-1,2,3,4"):
        with pytest.raises(ValueError, match=rf"--crop={bad}: must be centre or x,y,w,h"):
            pictures.parse_crop(bad)


@QUICK
@given(text=st.text(max_size=30) | st.from_regex(r"-?\d+,\d+,\d+,\d+\n?", fullmatch=True))
def test_any_crop_is_a_box_or_one_line(text):
    box = outcome_of(pictures.parse_crop, text)
    if isinstance(box, str):
        assert box.startswith("--crop=")
    else:
        assert box is None or (len(box) == 4 and min(box) >= 0 and min(box[2:]) >= 1)
