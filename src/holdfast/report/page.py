"""The report as one HTML file that needs nothing else: no server, no network."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report import published, remarks
from holdfast.report.figures import (
    cost,
    forest,
    layer_distances,
    learning_curves,
    losses,
    monitor,
    representation,
    strip,
    transfer,
)
from holdfast.report.luck import TITLE, luck_notes
from holdfast.report.representations import TITLE as REPRESENTATION
from holdfast.report.sections import (
    beside,
    figures,
    items,
    key,
    luck,
    pairs,
    representations,
    results,
    section,
    sides,
    text,
)
from holdfast.report.shell import html_page
from holdfast.report.text import clean, count, level
from holdfast.report.transfer import INTRO, by_base, side_notes
from holdfast.report.transfer import TITLE as TRANSFER
from holdfast.study.store.atomic import write_text


def write_page(summary: Summary, records: Sequence[RunRecord], path: Path) -> None:
    """Write the report of a study to ``path``, whole or not at all.

    ``records`` give the loss curves and on what the runs ran. Raises ``HoldfastError`` when the file cannot be
    written.
    """
    try:
        write_text(path, page(summary, records))
    except OSError as error:
        raise HoldfastError(f"cannot write the report {path}: {error.strerror}; choose a writable folder") from error


def page(summary: Summary, records: Sequence[RunRecord]) -> str:
    """Return the report of a study as HTML."""
    names = [clean(base) for base in by_base(summary)]
    title = f"Which fine-tuning method on {', '.join(names) if len(names) <= 3 else count(len(names), 'task')}?"
    return html_page(title, _lead(summary), _body(summary, records), f"Made by Holdfast {summary.holdfast}.")


def _lead(summary: Summary) -> str:
    settings = summary.settings
    tasks = count(len(by_base(summary)), "task")
    if isinstance(settings.train_size, list):
        tasks += f" × {count(len(settings.train_size), 'size')}"
    return (
        f"{count(len(settings.methods), 'method')} × {count(len(settings.seeds), 'seed')} × {tasks}, "
        f"model {settings.model}, compared with {settings.baseline}"
        + (f". {published.SMOKE}" if summary.reproduction and summary.reproduction.smoke else "")
    )


def _body(summary: Summary, records: Sequence[RunRecord]) -> str:
    settings = summary.settings
    decided = forest.panels(summary)
    costs = cost.panels(summary)
    curves = losses.panels(summary, records)
    layers = layer_distances.panels(summary)
    sizes = learning_curves.panels(summary)
    outside, probes = transfer.panels(summary, "ood"), transfer.panels(summary, "probe")
    states = representation.panels(summary)
    watched = monitor.panels(summary, records)
    parts = [
        section("Verdict", items(summary.sentences)),
        section("Best model", items(remarks.kept(best, summary) for best in summary.best)),
        section("Results", results(summary)),
        section(published.TITLE, beside(summary.reproduction)),
        section(
            TRANSFER,
            sides(summary),
            items([*side_notes(summary), *summary.transfer_sentences]) if summary.transfer else "",
            intro=INTRO,
        ),
        section(
            "Every run",
            figures(strip.panels(summary), "strip") if any(row.n for row in summary.results) else "",
            intro="A dot is a run, hollow when it failed; the tick below is the mean of the runs that trained with its "
            f"{level(settings.alpha)} interval, the diamond the mean that counts failed runs. Faint lines join the "
            "same seed. Intervals of two methods that overlap do not decide: the differences do.",
        ),
        section(
            "Differences",
            figures(decided, "forest") if decided else "",
            intro=f"Right of zero is better than {text(settings.baseline)}. Shaded: within ±{settings.delta:g}, too "
            "small to matter. Open circles: among the runs that trained.",
        ),
        section(
            "Learning curves",
            key(summary) + figures(sizes, "size") if sizes else "",
            intro="A mark is a mean over seeds, a dot a run; smaller training sets are part of the larger ones.",
        ),
        section(
            "Out of domain",
            figures(outside, "ood") if outside else "",
            intro="A dot is a run, the tick their mean.",
        ),
        section(
            "What the tuned models still know",
            figures(probes, "probe") if probes else "",
            intro="Linear probes of the frozen bodies on other tasks. A dot is a run, the tick their mean; dashed: the "
            "pre-trained model under the same probes.",
        ),
        section(
            REPRESENTATION,
            representations(summary),
            key(summary) + figures(states, "layer") if states else "",
            intro="Each layer of the tuned models against the pre-trained one, on the same scored rows and without "
            "their labels; means over the runs.",
        ),
        section(
            "The representation during training",
            key(summary) + figures(watched, "monitor") if watched else "",
            intro="The last layer on a fixed set of rows; CKA with the pre-trained model, distance of the weights from "
            "its. Strong: the mean over seeds; faint: single runs.",
        ),
        section(
            TITLE,
            luck(summary),
            items(luck_notes(summary)),
            key(summary) + figures(layers, "layers") if layers else "",
            intro="What the runs of one method differ in: scores, predictions, representations (0 is alike), and how "
            f"far the weights moved.{' Below the table, the distances layer by layer.' if layers else ''}",
        ),
        section(
            "Cost",
            key(summary) + figures(costs, "cost") if costs else "",
            intro="Mean score against median training time of a run. Up and to the left is better.",
        ),
        section(
            "Losses",
            key(summary) + figures(curves, "loss") if curves else "",
            intro="Strong: the mean over seeds; faint: single runs. Penalties, as they entered the loss, on a "
            "logarithmic scale.",
        ),
        section("Runs without a result", items(remarks.errors(summary))),
        section("Warnings", items(remarks.warnings(summary))),
        section("Notes on the data", items(remarks.notes(summary))),
        section("How to read this", items(remarks.reading(summary))),
        section("Settings", pairs(_settings(summary, records))),
    ]
    return "\n".join(part for part in parts if part)


def _settings(summary: Summary, records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    settings = summary.settings
    values = [
        ("model", settings.model),
        ("methods", "; ".join(settings.methods)),
        ("baseline", settings.baseline),
        ("tasks", ", ".join(settings.tasks)),
        ("seeds", ", ".join(map(str, settings.seeds))),
        ("training rows", _sizes(settings.train_size)),
        ("smallest difference that matters", f"{settings.delta:g} {'point' if settings.delta == 1 else 'points'}"),
        ("level of significance", f"{settings.alpha:g}"),
        ("looks at the results", str(summary.looks)),
    ]
    values += [(name.replace("_", " "), str(value)) for name, value in settings.training.items()]
    return values + ran_on(records)


def ran_on(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Return the devices, threads and versions that runs ran on, as names and values; what is unknown is left out."""
    ran = {
        "device": {record.device for record in records},
        "threads": {str(record.threads) for record in records if record.threads},
        "versions": {f"{name} {version}" for record in records for name, version in record.versions.items()},
    }
    return [(name, ", ".join(sorted(found))) for name, found in ran.items() if found - {""}]


def _sizes(train_size: int | list[int] | None) -> str:
    if train_size is None:
        return "all"
    return ", ".join(map(str, train_size)) if isinstance(train_size, list) else str(train_size)
