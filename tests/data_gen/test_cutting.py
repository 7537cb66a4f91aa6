"""Where footage is cut, and which clips are held out."""

import numpy as np
import pytest
from footage_files import moving_square, write_folder, write_video
from small_imports import settings

from data_gen import footage_clips, imported
from frame_io import shots

SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([12], [(10, 1, 1)]),
        ([30], [(24, 3, 3)]),
        ([3], [(1, 1, 1)]),
        ([2, 1, 1, 0], [(2, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]),
        ([2, 2], [(2, 0, 0), (2, 0, 0)]),
        ([1, 12, 1], [(1, 0, 0), (10, 1, 1), (1, 0, 0)]),
    ],
)
def test_the_last_clips_of_every_input_are_held_out(counts, expected):
    assert footage_clips.divide(counts, 0.1) == [
        [split for split, size in zip(SPLITS, sizes, strict=True) for _ in range(size)]
        for sizes in expected
    ]


def test_no_clip_goes_over_a_cut():
    frames = [(place in (7, 13), (place, None)) for place in range(30)]
    clips = [[place for place, _ in clip] for clip in footage_clips.cut(frames, 5)]
    assert clips == [
        [0, 1, 2, 3, 4],
        [7, 8, 9, 10, 11],
        [13, 14, 15, 16, 17],
        [18, 19, 20, 21, 22],
        [23, 24, 25, 26, 27],
    ]


@pytest.mark.parametrize(
    ("threshold", "cuts", "begins"),
    [
        (0, (), ([*range(0, 64, 8)], [64], [72])),
        (15, (), ([*range(0, 64, 8)], [64], [72])),
        (15, (77,), ([*range(0, 56, 8)], [56], [64])),  # No clip is left of the last frames.
        (15, (69, 73, 76), ([*range(0, 48, 8)], [48], [56])),
        (15, (5,), ([5, 13, 21, 29, 37, 45, 53], [61], [69])),
    ],
)
def test_the_last_clips_are_held_out_wherever_the_cuts_are(tmp_path, threshold, cuts, begins):
    frames = moving_square(80)
    for place in cuts:
        frames[place:] = 255 - frames[place:]
    path = write_folder(tmp_path / "frames", frames)
    made = footage_clips.import_clips([path], settings(shot_threshold=threshold), tmp_path)
    assert made.frames_read == 80
    assert made.shots == 1 + len(cuts)
    assert set(made.notes.values()) == {80}
    clips = imported.open_clips("my_clips", data_dir=tmp_path)
    for split, expected in zip(SPLITS, begins, strict=True):
        examples = clips.as_dataset(split=split).as_numpy_iterator()
        times = 30 * np.stack([example["pose"][:, 0] for example in examples])
        np.testing.assert_allclose(times, np.add.outer(expected, np.arange(8)), atol=1e-3)


def test_no_clip_of_a_video_goes_over_its_cut(tmp_path):
    frames = moving_square(60)
    frames[30:] = 255 - frames[30:]
    path = write_video(tmp_path / "a.mp4", frames)
    made = footage_clips.import_clips([path], settings(), tmp_path)
    assert made.shots == 2
    assert sum(made.clips.values()) == 6
    for split in SPLITS:
        for example in imported.open_clips("my_clips", data_dir=tmp_path).as_dataset(split=split):
            assert np.ptp(example["frames"].numpy()[:, 63, 63, 0].astype(int)) < 50


def test_memory_holds_one_clip_and_a_few_frames():
    alive, most = 0, 0

    class Frame(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def endless():
        nonlocal alive, most
        for i in range(3000):
            alive += 1
            most = max(most, alive)
            frame = np.ndarray.__new__(Frame, (2, 2, 1), np.uint8)
            frame[:] = i % 7
            yield i, frame.view(Frame)

    Frame.__array_finalize__ = lambda self, obj: None
    counted = 0
    for clip in footage_clips.cut(shots.marked(endless(), 15), 10):
        counted += len(clip)
    assert counted == 3000
    assert most < 50
