"""What is known of each row of the study's tables: its runs that are done, and what they found."""

import collections
import dataclasses

from tf_inbetween.clips import kind_of
from tf_inbetween.kinds import KINDS
from tf_inbetween.study.definitions import Best
from tf_inbetween.study.schedule import choose, row_jobs, winner_jobs


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table, with what has been measured of it.

    Attributes:
        label: of the row; with the winner's where there was a choice.
        clips: what it is judged on: a scene, with the split if that is not test.
        method: of its runs' evaluations, the one that it shows.
        jobs: `jobs.Job`s that are done.
        metrics: what metrics.json of each holds.
        last_quarters: of each, see `jobs.Job.last_quarter`.
        judged_steps: of each, see `jobs.Job.judged_step`.
        missing: what is not done, in words.
        choice: what `schedule.choose` returned; None for a row without a choice.
    """

    label: str
    clips: str | None
    method: str
    jobs: list
    metrics: list
    last_quarters: list
    judged_steps: list
    missing: list
    choice: dict | None

    @property
    def kind(self):
        """The kind of its frames, one of `kinds.KINDS`."""
        return KINDS[kind_of(self.jobs[0].config)]

    @property
    def first(self):
        """The job of the first seed, done or not: the one that pictures show."""
        return dataclasses.replace(self.jobs[0], seed=self.jobs[0].settings.seeds[0])


def rows_of(question, settings):
    """The `Row`s of a `definitions.Question`, as far as each has come."""
    rows = []
    for asked in question.rows:
        choice, missing, label = None, [], asked.label
        if isinstance(asked, Best):
            choice = choose(asked, settings)
            winner = choice["run"]
            jobs = winner_jobs(asked, winner or asked.among[0], settings)
            missing = [f"choice of {name}" for name in choice["missing"]]
            label = f"{label}: {winner.label}" if winner else label
            label += " (so far)" if winner and missing else ""
        else:
            jobs = row_jobs(asked, settings)
        clips = clips_of(jobs[0])
        jobs = jobs if choice is None or choice["run"] else []
        metrics = {job: job.metrics() for job in jobs}
        missing += [f"seed {job.seed}" for job in jobs if metrics[job] is None]
        done = [job for job in jobs if metrics[job]]
        rows.append(
            Row(
                label=label,
                clips=clips,
                method=jobs[0].run.methods[0] if jobs else "latent",
                jobs=done,
                metrics=[metrics[job] for job in done],
                last_quarters=[job.last_quarter() for job in done],
                judged_steps=[job.judged_step() for job in done],
                missing=missing,
                choice=choice,
            )
        )
    return rows


def clips_of(job):
    """What a job is judged on: a scene, with the split if that is not test."""
    scene, end = job.config.scene, "" if job.split == "test" else f"_{job.split}"
    return scene.removesuffix(end) + end


def parts_of(row):
    """The reconstruction of the clips that each run was judged on."""
    return [metrics["reconstruction"][metrics["split"]] for metrics in row.metrics]


def by_clips(rows):
    """The rows with something to show, by what they are judged on."""
    groups = collections.defaultdict(list)
    for row in rows:
        if row.metrics:
            groups[row.clips].append(row)
    return groups


def gaps_of(question, rows):
    """The labels of the gaps that a question shows of some rows, all judged on the same clips."""
    labels = [m["gap_label"] for m in rows[0].metrics[0]["inbetween"] if m["t"] == 0.5]
    return [label for label in labels if not question.gaps or label in question.gaps]


def at_gap(metrics, label, places=(0.5,)):
    """What each of a list of metrics has of a gap: for each, its rows at `places`."""
    return [
        [row for row in each["inbetween"] if row["gap_label"] == label and row["t"] in places]
        for each in metrics
    ]


def as_measured(question, rows):
    """The question without the measures that none of its rows has."""
    there = {
        name
        for row in rows
        for metrics in row.metrics
        for at in metrics["inbetween"]
        for name in at["methods"].get(row.method, ())
    }
    measures = tuple(name for name in question.measures if name in there)
    return dataclasses.replace(question, measures=measures)
