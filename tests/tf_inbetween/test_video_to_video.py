"""The in-between command from a video to a video: its length, its rate, its shots, its sound."""

import numpy as np
import PIL.Image
import pytest
from footage_files import moving_square, write_video
from toned_videos import HERTZ, heard, write_toned

av = pytest.importorskip("av")

COMMAND = ("tf_inbetween.inbetween", "--run_dir=run")


def frames_of(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture
def run(finished):
    """A tiny run, in the folder `run`."""
    return finished().run_dir


@pytest.fixture
def shots(tmp_path):
    """Half a second of 24 frames a second: six frames of one shot, six of another."""
    frames = moving_square(6, 64, 64)
    return write_video(tmp_path / "a.mp4", np.concatenate([frames, 255 - frames]), rate=24)


def test_a_higher_rate_keeps_the_length_and_the_cuts(fork, run, shots, tmp_path):
    result = fork(*COMMAND, "--input=a.mp4", "--output_fps=60", "--output=b.mkv")
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        "a.mp4: 2 shots, with nothing drawn from one to the next\n"
        "wrote b.mkv: 30 frames of 64x64, 60 a second, 0.5 s, no sound\n"
    )
    given, drawn = frames_of(shots), frames_of(tmp_path / "b.mkv")
    for place, frame in enumerate(drawn):
        key = place * 24 / 60
        held = key == int(key) or 5 < key < 6 or key > 11
        close = np.abs(frame.astype(int) - given[int(key)]).mean() < 4
        assert close == held, place  # An untrained model draws nothing like it.


def test_repeated_frames_are_drawn_anew_or_kept(fork, run, tmp_path):
    frames = moving_square(6, 64, 64).repeat(2, axis=0)
    write_video(tmp_path / "a.mp4", frames, rate=24)
    twos = [*COMMAND, "--input=a.mp4", "--output_fps=24", "--output=b.mp4"]
    result = fork(*twos)
    assert result.stdout.startswith("a.mp4: 5 repeated frames are drawn again\n")
    off = np.abs(frames_of(tmp_path / "b.mp4").astype(int) - frames).mean(axis=(1, 2, 3)) > 4
    assert np.flatnonzero(off).tolist() == [1, 3, 5, 7, 9]
    kept = fork(*twos, "--duplicates=keep")
    assert kept.stdout == "wrote b.mp4: 12 frames of 64x64, 24 a second, 0.5 s, no sound\n"
    assert np.abs(frames_of(tmp_path / "b.mp4").astype(int) - frames).mean() < 4


def test_sound_goes_along(fork, run, tmp_path):
    write_toned(tmp_path / "a.mp4", "aac")
    command = [*COMMAND, "--input=a.mp4", "--shot_threshold=0"]
    same = fork(*command, "--output_fps=30", "--start=1", "--end=3", "--output=b.mp4")
    assert same.returncode == 0, same.stderr
    assert same.stdout.endswith("60 frames of 64x64, 30 a second, 2 s, sound copied (aac)\n")
    _, begins, ends, _, length = heard(tmp_path / "b.mp4")
    np.testing.assert_allclose((begins, ends, length), (1, 1.5, 2), atol=0.03)
    slow = fork(*command, "--slow=2", "--start=1", "--end=3", "--output=c.mp4")
    assert slow.stdout.endswith(
        "100 frames of 64x64, 25 a second, 4 s, sound 2 times as long (aac)\n"
    )
    _, begins, ends, pitch, length = heard(tmp_path / "c.mp4")
    np.testing.assert_allclose((begins, ends, length), (2, 3, 4), atol=0.06)
    assert abs(pitch - HERTZ) < 3
    counted = fork(*command, "--end=1", "--frames=1", "--seconds_per_frame=0.02", "--output=d.mkv")
    assert counted.stdout.endswith("49 frames of 64x64, 50 a second, 0.98 s, sound copied (aac)\n")
    none = fork(*command, "--end=1", "--output_fps=50", "--output=e.gif")
    assert "its sound is left out, as a .gif has none\n" in none.stdout
    muted = fork(*command, "--end=1", "--output_fps=50", "--nosound", "--output=f.mp4")
    assert muted.stdout.endswith("no sound\n")


def write_see_through(folder, count):
    folder.mkdir()
    for i in range(count):
        pixels = np.zeros((64, 64, 4), np.uint8)
        pixels[20:40, 8 * i : 8 * i + 16] = (250, 20, 20, 255)
        PIL.Image.fromarray(pixels).save(folder / f"{i}.png")


def test_alpha_and_loops(fork, run, tmp_path):
    write_see_through(tmp_path / "in", 4)
    command = [*COMMAND, "--input=in", "--folder_fps=10"]
    looped = fork(*command, "--frames=1", "--loop", "--output=a.webp")
    assert looped.stdout == "wrote a.webp: 8 frames of 64x64, 10 a second, 0.8 s\n"
    with PIL.Image.open(tmp_path / "a.webp") as picture:
        picture.seek(7)  # From the last to the first.
        alpha = np.asarray(picture)[30, :, 3]
    np.testing.assert_allclose(alpha[[4, 20, 36, 60]], [128, 0, 128, 0], atol=1)
    plain = fork(*command, "--output_fps=20", "--output=out/%02d.png")
    assert plain.stdout == "wrote out/%02d.png: 8 frames of 64x64\n"
    with PIL.Image.open(tmp_path / "out/03.png") as picture:
        assert picture.getpixel((12, 30)) == (250, 20, 20, 255)
        assert picture.getpixel((60, 30))[3] == 0
    over = fork(*command, "--frames=1", "--output=a.gif")
    assert "in: its transparent parts are laid over white\n" in over.stdout
    pair = ("--first=in/0.png", "--second=in/3.png", "--frames=1", "--loop")
    assert "wrote a.apng: 4 frames" in fork(*COMMAND, *pair, "--output=a.apng").stdout


def test_a_list_of_pairs(fork, run, tmp_path):
    write_see_through(tmp_path / "in", 2)
    rows = "first,second,output\nin/0.png,in/1.png,out/a.gif\nin/1.png,in/0.png,out/b.png\n"
    (tmp_path / "list.csv").write_text(rows)
    result = fork(*COMMAND, "--pairs=list.csv", "--frames=3")
    assert result.returncode == 0, result.stderr
    told = [line.partition(": ")[0] for line in result.stdout.splitlines() if "wrote" in line]
    assert told == ["wrote out/a.gif", "wrote out/b.png"]
    (tmp_path / "list.csv").write_text(rows + "in/0.png,in/9.png,c.gif\nin/0.png\n")
    refused = fork(*COMMAND, "--pairs=list.csv")
    assert refused.returncode == 1
    assert refused.stderr == (
        "list.csv: row 4: in/9.png: no such file\n"
        "list.csv: row 5: must have three columns: first,second,output\n"
        "error: --pairs=list.csv: 2 faults; nothing was drawn\n"
    )
    assert refused.left == ["in", "list.csv", "out", "run"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--input=a.mp4", "--slow=2", "--output_fps=60"],
            "--output_fps and --slow: give one of --frames, --output_fps and --slow",
        ),
        (["--frame=a.png", "--frame=b.png", "--slow=2"], "--slow: is for --input, which has a len"),
        (["--input=a.mp4", "--output_fps=sixty"], "--output_fps=sixty: must be a number above 0"),
        (["--input=a.mp4", "--output_fps=0/0"], "--output_fps=0/0: must be a number above 0"),
        (
            ["--input=a.mp4", "--slow=2", "--noends"],
            "--noends: goes with --frames, not with --slow",
        ),
        (["--pairs=a.csv"], "--output: --pairs names an output in each row; leave it out"),
        (["--pairs=a.csv", "--input=a.mp4"], "--input and --pairs: give one or the other"),
    ],
)
def test_flags_that_do_not_go_together(fork, run, arguments, message):
    result = fork(*COMMAND, "--output=b.mp4", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}"), result.stderr
    assert result.stderr.count("\n") == 1
    assert result.left == ["run"]
