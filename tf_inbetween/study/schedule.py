"""Which jobs there are of a study's questions, and which runs win their choices."""

import dataclasses

from tf_inbetween.study.definitions import Best
from tf_inbetween.study.jobs import Job


def row_jobs(run, settings, split=None):
    """The jobs of a row of a table: `run` with every seed, judged on its split, or on another."""
    return [Job(run, seed, split or run.split, settings) for seed in settings.seeds]


def candidate_jobs(best, settings):
    """The jobs that a `Best` chooses by: each of its runs with the first seed, on validation."""
    return [Job(run, settings.seeds[0], "validation", settings) for run in best.among]


def winner_jobs(best, run, settings):
    """The jobs of the row of a `Best` if `run` wins, or has won."""
    run = dataclasses.replace(run, flags=f"{run.flags} {best.more}".strip())
    return row_jobs(run, settings, best.split)


def jobs_known_at_first(questions, settings):
    """All jobs but those of the runs that are yet to be chosen; each once, in order."""
    jobs = []
    for question in questions:
        for row in question.rows:
            jobs_of = candidate_jobs if isinstance(row, Best) else row_jobs
            jobs += jobs_of(row, settings)
    return each_once(jobs)


def jobs_of_the_chosen(questions, settings, leave_out=()):
    """The jobs of the runs that the `Best` rows choose, as far as there is anything to choose.

    `leave_out`: `Best`s that are not asked.
    """
    asked = [best for best in _bests(questions) if best.among not in {b.among for b in leave_out}]
    chosen = {best: choose(best, settings)["run"] for best in asked}
    jobs = [job for best, run in chosen.items() if run for job in winner_jobs(best, run, settings)]
    return each_once(jobs)


def each_once(jobs):
    """The same work under two labels is one job."""
    unique = {}
    for job in jobs:
        unique.setdefault((job.name, job.split, frozenset(job.methods)), job)
    return list(unique.values())


def sweeps_undecided(questions, settings):
    """The `Best`s of which not all runs have been evaluated, each that is a training of its own."""
    sweeps = {(best.among, best.more): best for best in _bests(questions)}.values()
    return [best for best in sweeps if choose(best, settings)["missing"]]


def _bests(questions):
    rows = [row for question in questions for row in question.rows if isinstance(row, Best)]
    return list(dict.fromkeys(rows))


def choose(best, settings):
    """Which run of a `Best` does best on the validation split.

    That is the one with the largest hit rate; among equals, with the smallest MSE. See `Job.score`.

    Returns:
        {"run": the `Run`, or None if none is evaluated yet, "scores": {label: {"hit_rate": …,
        "mse": …}}, "missing": the labels of those that are not evaluated}.
    """
    scores, missing, runs = {}, [], {}
    for job in candidate_jobs(best, settings):
        score = job.score()
        if score is None:
            missing.append(job.run.label)
            continue
        runs[job.run.label] = job.run
        scores[job.run.label] = score
    first = min(
        scores, key=lambda label: (-scores[label]["hit_rate"], scores[label]["mse"]), default=None
    )
    return {"run": runs.get(first), "scores": scores, "missing": missing}
