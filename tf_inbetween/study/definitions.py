"""What a study is made of: runs, choices between runs, and questions, whose rows they are."""

import dataclasses
from pathlib import Path

# A short, a middle and a long gap of the turn, and of clips.
GAPS = ("20°", "60°", "120°", "8 frames", "16 frames", "32 frames")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training, but for its seed.

    Attributes:
        label: what tables and pictures call it.
        flags: of `tf_inbetween.train`, parted by blanks, a --flagfile first. --seed and --run_dir
            are the study's to give, and so are --steps and --steps_per_epoch, whatever the file
            says, where they do not stand beside it.
        methods: what its evaluation measures, see `evaluation.run.evaluate`. A row shows the first;
            pixel methods are measured with the first seed and stand below the rows of their scene.
        split: of the clips that it is judged on.
    """

    label: str
    flags: str
    methods: tuple[str, ...] = ("latent",)
    split: str = "test"

    @property
    def arguments(self):
        """The flags as a list."""
        return self.flags.split()

    @property
    def name(self):
        """What its folders are called: two runs with the same flags are one."""
        given = dict(flag.removeprefix("--").partition("=")[::2] for flag in self.arguments)
        start = Path(given.pop("flagfile", "defaults")).stem
        return ",".join([start, *(f"{name}={value}" for name, value in sorted(given.items()))])


@dataclasses.dataclass(frozen=True)
class Best:
    """The run that does best on the validation split.

    Attributes:
        label: of the row; the winner's own is added.
        among: the `Run`s to choose from.
        split: of the clips that the winner is judged on.
        more: flags that the row has beside the winner's, such as a longer training.
    """

    label: str
    among: tuple[Run, ...]
    split: str = "test"
    more: str = ""


@dataclasses.dataclass(frozen=True)
class Question:
    """A page of the results, and its section on the front page.

    Attributes:
        name: for --only, and for files: the page is NAME.md.
        title: of the page.
        asks: one paragraph: what is compared, and what is the same for all rows.
        rows: `Run`s and `Best`s, one row of the table each.
        gaps: labels of the gaps that the table and the pictures show; () for all.
        measures: what a cell of the table says, see `tables.MEASURES`; what no row has is left
            out.
        columns: what else is said of a row, see `tables.COLUMNS`.
        pixels: the pixel methods that stand below the rows, where they are measured.
        geometry: whether a table has the latent geometry.
        names_best: whether a last line says which method is the best at each gap.
        pictures: which ones, see `pictures.PICTURES`.
        front_clips: what the rows on the front page are judged on, such as "teapot_2dof_heldout";
            () for that of the first row.
        front_rows: labels of the rows on the front page (of a `Best` without the winner's), and
            names of pixel methods; () for the first ones.
    """

    name: str
    title: str
    asks: str
    rows: tuple
    gaps: tuple[str, ...] = GAPS
    measures: tuple[str, ...] = ("hit_rate", "timing_error", "mse", "detail")
    columns: tuple[str, ...] = ("reconstruction", "elbo")
    pixels: tuple[str, ...] = ("optical_flow", "crossfade", "nearest_frame")
    geometry: bool = False
    names_best: bool = False
    pictures: tuple[str, ...] = ("inbetween",)
    front_clips: tuple[str, ...] = ()
    front_rows: tuple[str, ...] = ()


def sweep(flags, name, values, more=""):
    """One `Run` for each value of a flag; `more` is added to their labels."""
    return tuple(Run(f"{name} {value:g}{more}", f"{flags} --{name}={value:g}") for value in values)


def held_out(row):
    """The same, judged on the clips of views that no training clip shows."""
    return dataclasses.replace(row, split="heldout")
