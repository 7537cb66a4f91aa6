"""What study.json says of a study, from the runs that are there and from what it said before."""

from tf_inbetween.clips import prepare
from tf_inbetween.study.jobs import methods_of
from tf_inbetween.study.pictures import run_of
from tf_inbetween.study.schedule import jobs_known_at_first, jobs_of_the_chosen


def entries_of(questions, settings):
    """What study.json says of all that is done, the runs included that were only chosen among.

    A training that was judged on several splits is there several times.

    Returns:
        {`Job`: its entry, see `Job.entry`}, one for each name.
    """
    frames = {}

    def train_frames(config):
        if config.scene not in frames:
            clips = prepare(config).clip_infos("train")
            frames[config.scene] = sum(clip.length for clip in clips)
        return frames[config.scene]

    by_name = {}
    for job in [
        *jobs_known_at_first(questions, settings),
        *jobs_of_the_chosen(questions, settings),
    ]:
        entry = job.entry(train_frames)
        if entry:  # Two rows may ask for different methods of one run.
            _, before = by_name.get(job.recorded_name, (None, None))
            by_name[job.recorded_name] = job, wider_entry(before, entry)
    return dict(by_name.values())


def as_json(sections, settings):
    """Every question and row, with the names of its runs."""
    return {
        "seeds": list(settings.seeds),
        "questions": {
            question.name: {
                "title": question.title,
                "rows": [_row_as_json(row) for row in rows],
            }
            for question, rows in sections.items()
        },
    }


def _row_as_json(row):
    choice = row.choice and {
        "chosen": row.choice["run"] and row.choice["run"].label,
        "by": "the largest mean hit rate on the validation split, over the gaps that were trained "
        "on; among equals the smallest MSE",
        "scores": row.choice["scores"],
        "missing": row.choice["missing"],
    }
    return {
        "label": row.label,
        "clips": row.clips,
        "method": row.method,
        "choice": choice,
        "missing": row.missing,
        "runs": [job.recorded_name for job in row.jobs],
    }


def wider_entry(before, entry):
    """Of two entries of one run that with more methods, as far as both have the same flags."""
    same = before and before["flags"] == entry["flags"]
    methods = [set(methods_of(e.get("metrics"))) for e in (before or {}, entry)]
    return before if same and methods[0] > methods[1] else entry


def kept_pictures(record, runs):
    """The pictures of before, but for those of a run that has other flags now."""
    changed = {
        run_of(name)
        for name, entry in record.get("runs", {}).items()
        if entry["flags"] != runs[name]["flags"]
    }
    return {
        path: shows
        for path, shows in record.get("pictures", {}).items()
        if changed.isdisjoint(map(run_of, shows))
    }
