"""The page that says how long the trainings of the study were, and whether that was enough."""

import collections

from tf_inbetween.study.jobs import BOTH_ERRORS
from tf_inbetween.study.tables import FLAT, spread, table_head, table_line

NAME = "trainings"
TITLE = "How long were the trainings?"


def page_lines(trained):
    """The lines of the page, without its title.

    Args:
        trained: [(`jobs.Job`, its entry of study.json)], each training once.
    """
    groups = collections.defaultdict(list)
    for job, entry in trained:
        config = job.config
        frames = config.clips_per_batch * config.frames_per_clip
        groups[config.scene, _kind(config), config.steps, frames].append(entry)
    lines = [
        "In the paper an epoch is a pass over the data set. Here every step draws its frames at "
        "random, and an epoch is only the steps between two validations. The column *passes* is "
        "the number of frames drawn, divided by the number of training frames.",
        "",
        f"{_errors(trained)}. The learning rate falls along a cosine to a hundredth of its peak. "
        f"A training is *flat* if its validation error changed by at most {FLAT:.0%} over the last "
        "quarter of the steps; a falling learning rate alone can flatten it.",
        "",
        f"We judge the weights with the smallest validation error: {_judged(trained)}.",
        "",
        *table_head(
            [
                *("scene", "loss", "trainings", "steps", "frames a step", "passes", "minutes each"),
                *("validation error over the last quarter, %", "flat"),
            ]
        ),
    ]
    for (scene, kind, steps, frames), members in sorted(groups.items()):
        changes = [entry["validation_error_over_the_last_quarter"] for entry in members]
        known = [change for change in changes if change is not None]
        flat = f"{sum(abs(change) <= FLAT for change in known)} of {len(known)}"
        passes = steps * frames / members[0]["train_frames"]
        cells = [
            f"`{scene}`",
            kind,
            str(len(members)),
            f"{steps:,}",
            str(frames),
            f"{passes:,.0f}" if passes >= 10 else f"{passes:.1f}",
            spread([entry["metrics"]["train_seconds"] / 60 for entry in members], 1),
            spread([100 * change for change in known], 0) if known else "-",
            flat,
        ]
        lines.append(table_line(cells))
    return [*lines, ""]


def cost(trained, settings):
    """One line: how many trainings there are, and how long all of them took."""
    seconds = [seconds for _, entry in trained for _, _, seconds in entry["commands"]]
    machines = {entry["machine"] for _, entry in trained}
    return (
        f"Trainings: {len(trained)}, seeds {', '.join(map(str, settings.seeds))}. They and, where "
        f"it was timed, their evaluations took {sum(seconds) / 3600:.1f} hours on "
        f"{' and '.join(sorted(machines))}."
    )


def _errors(trained):
    """What the validation error of some trainings is, in words."""
    older = sum(entry.get("judged_by", BOTH_ERRORS) == BOTH_ERRORS for _, entry in trained)
    both = "the MSE of reconstructions plus that of in-betweens, weighted as in the loss"
    if older == len(trained):
        return f"The validation error is {both}"
    words = (
        "The validation error is the MSE of in-betweens, or of reconstructions if the loss has no "
        "in-between likelihood"
    )
    if any(entry.get("judged_by", "").endswith("_nll") for _, entry in trained):
        words += "; for text it is the negative log-likelihood"
    return words + f" (for {older} older trainings {both})" * bool(older)


def _kind(config):
    """The loss of a training, in words."""
    if config.model == "pixel_unet":
        return "pixel U-Net"
    if config.model != "vae":
        return config.model + ", in-between likelihood" * bool(config.inbetween_weight)
    if config.inbetween_weight:
        return "in-between likelihood"
    if config.alpha:
        return "the paper's"
    return "plain VAE" if config.prior_weight == 1 else "beta-VAE"


def _judged(trained):
    """How many trainings were judged by their last weights, in words."""
    steps = [(entry["judged_step"], job.config.steps) for job, entry in trained]
    known = sum(step is not None for step, _ in steps)
    last = sum(step == of for step, of in steps)
    return f"in {last} of {known} trainings those of the last step; the tables mark other rows"
