"""Which gaps are judged, and between which frames."""

import dataclasses

import numpy as np
import pytest

from tf_inbetween.clips import Clip, ClipInfo
from tf_inbetween.config import InputError
from tf_inbetween.evaluation import pairs as pair_choice


def test_gaps_have_frames_at_the_quarters(clips):
    for gap, frames in ((10, 4), (20, 4), (60, 12), (120, 24)):
        assert pair_choice.gap_in_frames(gap, clips[0]) == frames


def test_pairs_are_spread_over_all_clips_and_stay_inside_open_ones():
    def clip(length, cyclic):
        return Clip("c", np.zeros((length, 1, 1, 1)), np.zeros((length, 1)), cyclic, 1.0)

    clips = [clip(20, False), clip(9, False), clip(30, True)]
    for pairs in (38, 1000):
        starts = pair_choice.spread(clips, gap=12, pairs=pairs)
        assert sorted(starts) == [0, 2]
        np.testing.assert_array_equal(starts[0], np.arange(8))
        np.testing.assert_array_equal(starts[2], np.arange(30))
    few = pair_choice.spread(clips, gap=12, pairs=4)
    assert sum(len(starts) for starts in few.values()) == 4


def test_a_closed_clip_is_gone_round_once_at_most():
    for cyclic, expected in ((True, [9, 9, 0, 0]), (False, [5, 1, 0, 0])):
        clip_info = ClipInfo(9, cyclic, 1.0)
        assert [pair_choice.clip_starts(clip_info, gap) for gap in (4, 8, 9, 12)] == expected


def test_clips_of_different_pace_are_an_error(clips):
    other = dataclasses.replace(clips[0], units_per_frame=2.0)
    with pytest.raises(InputError, match=r"differ in pace \(2 and 5\)"):
        pair_choice.fitting_gaps([clips[0], other], [40])


@pytest.mark.parametrize(
    ("lengths", "cyclic", "message"),
    [
        ([4, 8, 1], False, "no clip is long enough for a gap of 8 frames: the longest has 8"),
        ([1], True, "no clip is long enough for a gap of 8 frames: the longest has 1"),
        ([], False, "there are no clips to judge"),
    ],
)
def test_clips_too_short_for_every_gap_are_an_error(lengths, cyclic, message):
    with pytest.raises(InputError, match=message):
        pair_choice.fitting_gaps([ClipInfo(length, cyclic, 1.0) for length in lengths], [8, 16])


def test_gaps_are_judged_where_a_clip_has_them():
    clip_infos = [ClipInfo(length, False, 1.0) for length in (1, 9, 5, 17)]
    assert pair_choice.fitting_gaps(clip_infos, [4, 5, 8, 16, 20]) == [4, 8, 16]
    assert [pair_choice.first_clip(clip_infos, gap) for gap in (4, 8, 12)] == [1, 1, 3]
