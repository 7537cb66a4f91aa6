"""The tables: means and ranges, and a dash for what is not there."""

import dataclasses
import re

from study_metrics import measured

from tf_inbetween.study import hparams, question_page, tables
from tf_inbetween.study import rows as study_rows
from tf_inbetween.study.jobs import Job


def test_a_table_has_means_and_ranges(settings, questions):
    job = Job(questions[0].rows[0], 0, "test", settings)
    metrics = [measured(0.9, 1e-4), measured(1.0, 2e-4), measured(0.8, 3e-4)]
    rows = [
        study_rows.Row(
            "three", "x", "latent", [job] * 3, metrics, [-0.5, 0.5, 0.3], [2, 1, 2], [], None
        ),
        study_rows.Row("one", "x", "latent", [job], metrics[:1], [None], [None], [], None),
    ]
    pixels = tables.pixel_rows(rows)
    assert list(pixels) == [("x", "optical_flow")]
    below = {"optical_flow": pixels["x", "optical_flow"]}
    brief = dataclasses.replace(questions[0], gaps=("60°",), columns=())
    assert tables.markdown_table(brief, rows, below) == [
        "|  | seeds | 60° |",
        "| --- | --- | --- |",
        "| three | 3 (step 1) | 0.90 [0.80, 1.00] |",
        "| one | 1 | 0.90 |",
        "| optical flow |  | 0.25 |",
    ]
    columns = ("reconstruction", "elbo", "last_quarter")
    measures = ("hit_rate", "timing_error", "mse")
    whole = dataclasses.replace(
        questions[1], measures=measures, columns=columns, geometry=True, names_best=True
    )
    lines = tables.markdown_table(whole, rows, below)
    head, _, three, one, _, best = lines
    assert head.startswith(
        "|  | seeds | 20° | 60° | reconstruction, MSE x 1e4 | ELBO, nats a frame | validation error"
    )
    cell = "0.90 [0.80, 1.00]<br>2.00° [2.00°, 2.00°]<br>2.00 [1.00, 3.00]"
    assert three == (
        f"| three | 3 (step 1) | {cell} | {cell} | 4.00 [2.00, 6.00] | 200,000 [100,000, 300,000] "
        "| 10 [-50, 50] |"
    )
    assert one.endswith(" | 2.00 | 100,000 | - |")
    cell = "three, one<br>three, one, optical flow<br>three, one, optical flow"
    assert best == f"| **the best** |  | {cell} | {cell} |  |  |  |"
    missed = [measured(0.0, 1e-4)]
    values = {"row": tables._values(whole, missed, "latent", (0.5,))}
    assert tables._best(whole, values, "20°") == "none<br>row<br>row"
    assert len({line.count("|") for line in lines}) == 1

    # Over all t; and the latents, by the reading of each row's own training.
    any_t = tables.markdown_table(whole, rows, {}, places=(0.25, 0.5), columns=())
    cell = "0.90 [0.80, 1.00]<br>1.50° [1.50°, 1.50°]<br>2.00 [1.00, 3.00]"
    assert any_t[2] == f"| three | 3 (step 1) | {cell} | {cell} |"
    *_, one, _ = tables.geometry_table(whole, rows)
    assert one == "| one | 1 | 0.5<br>1.0<br>0.50 | 0.5<br>1.0<br>1.50 |"

    # A gap that few pairs fit says so.
    for row in metrics[0]["inbetween"][2:]:
        row["pairs"] = 1
    head, *_ = tables.markdown_table(whole, rows, {}, columns=())
    assert head == "|  | seeds | 20° | 60°, 1 pair |"
    del metrics[0]["inbetween"][0]["latent_geometry"]
    assert tables.geometry_table(whole, rows) == []


def test_records_without_detail_have_the_tables_of_before(settings, questions):
    """With some that have it, the others have a dash, and the best is among those that have it."""
    job = Job(questions[0].rows[0], 0, "test", settings)
    metrics = {name: measured(0.9, 1e-4, methods=("latent",)) for name in ("old", "new", "half")}
    for name, detail in (("new", 0.625), ("half", 0.5)):
        for at in metrics[name]["inbetween"]:
            at["methods"]["latent"]["detail"] = detail
    del metrics["half"]["inbetween"][0]["methods"]["latent"]["detail"]
    rows = {
        name: study_rows.Row(name, "x", "latent", [job], [each], [None], [None], [], None)
        for name, each in metrics.items()
    }
    question = dataclasses.replace(
        questions[1], columns=(), names_best=True, pictures=(), geometry=False
    )
    assert "detail" in question.measures
    (words, *_), before = (
        question_page._shown(asked, [rows["old"]], {}, {"x": []})
        for asked in (
            question,
            dataclasses.replace(question, measures=("hit_rate", "timing_error", "mse")),
        )
    )
    assert question_page._shown(question, [rows["old"]], {}, {"x": []}) == before
    assert words.startswith("Each cell has, at t = 1/2: hit rate, timing error (degrees, ")
    assert not re.search(r"\bdetail\b", "".join(before))  # But for <details>.

    words, _, _, _, *lines = question_page._shown(question, list(rows.values()), {}, {"x": []})
    assert words.startswith("Each cell has, at t = 1/2: hit rate, ")
    assert ", MSE x 1e4, detail. " in words
    cell = "0.90<br>2.00°<br>1.00"
    assert lines[:4] == [
        f"| old | 1 | {cell}<br>- | {cell}<br>- |",
        f"| new | 1 | {cell}<br>0.62 | {cell}<br>0.62 |",
        f"| half | 1 | {cell}<br>0.50 | {cell}<br>0.50 |",
        "| **the best** |  | "
        + " | ".join(["old, new, half<br>old, new, half<br>old, new, half<br>new"] * 2)
        + " |",
    ]
    # Over several t a mean needs all of them.
    values = tables._values(question, [metrics["half"]], "latent", (0.25, 0.5))
    assert [values[label]["detail"][0] for label in ("20°", "60°")] == [[None], [0.5]]
    assert tables._best(question, {"half": values}, "20°").endswith("<br>-")
    assert "detail/60°" not in hparams._scalars(metrics["old"])
    assert hparams._scalars(metrics["new"])["detail/60°"] == 0.625


def test_what_a_model_does_not_have_is_left_out(settings, questions):
    """A model without latents has no reconstruction, no path and no geometry: null."""
    job = Job(questions[0].rows[0], 0, "test", settings)
    metrics = {**measured(0.5, 1e-4), "reconstruction": {"test": None}, "paths": {}}
    for row in metrics["inbetween"]:
        row["latent_geometry"] = None
    rows = [study_rows.Row("a", "x", "latent", [job], [metrics], [None], [None], [], None)]
    *_, line = tables.markdown_table(questions[1], rows, {})[:3]
    assert line.endswith(" | -" * len(tables.COLUMNS) + " |")
    assert tables.geometry_table(questions[1], rows) == []
    assert "reconstruction/mse" not in hparams._scalars(metrics)
    metrics["reconstruction"]["test"] = {"mse": None, "elbo": None}  # A U-Net's.
    *_, line = tables.markdown_table(questions[1], rows, {})[:3]
    assert line.endswith(" | -" * len(tables.COLUMNS) + " |")
    metrics["reconstruction"]["test"] = {"mse": 1e-4, "elbo": None}  # An autoencoder's.
    *_, line = tables.markdown_table(questions[1], rows, {})[:3]
    assert line.endswith(" | 1.00" + " | -" * (len(tables.COLUMNS) - 1) + " |")
    assert hparams._scalars(metrics)["reconstruction/mse"] == 1e-4
    assert "reconstruction/elbo" not in hparams._scalars(metrics)
