"""How to read the report, and what the study was run with."""

from collections.abc import Iterable, Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Settings, Summary
from holdfast.report.block import Block
from holdfast.wording import count, in_points, level


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return two blocks to look things up in: how to read the figures honestly, and all settings."""
    return [
        Block("How to read this", notes=tuple(_reading(summary)), lookup=True),
        Block("Settings", facts=(*_settings(summary), *ran_on(records)), lookup=True),
    ]


def not_equal(settings: Settings) -> str:
    """Return what an undecided comparison does not say."""
    return (
        f"“Cannot be told apart” is not “equal”: only an interval wholly inside ±{in_points(settings.delta)} is "
        "called practically equal."
    )


def common(settings: Settings) -> list[tuple[str, str]]:
    """Return the settings that say by what methods were judged, as names and values."""
    return [
        ("smallest difference that matters", in_points(settings.delta)),
        ("level of significance", f"{settings.alpha:g}"),
    ]


def training(settings: Settings) -> list[tuple[str, str]]:
    """Return the training settings as names and values."""
    return [(name.replace("_", " "), str(value)) for name, value in settings.training.items()]


def ran_on(records: Iterable[RunRecord]) -> list[tuple[str, str]]:
    """Return the devices, threads and versions that runs ran on, as names and values; what is unknown is left out."""
    records = list(records)
    ran = {
        "device": {record.device for record in records},
        "threads": {str(record.threads) for record in records if record.threads},
        "versions": {f"{name} {version}" for record in records for name, version in record.versions.items()},
    }
    return [(name, ", ".join(sorted(values))) for name, values in ran.items() if values - {""}]


def _reading(summary: Summary) -> list[str]:
    sentences = [
        f"Points are the metric times 100; an interval covers the true value in {level(summary.settings.alpha)} of "
        "studies, over seeds only: other seeds, but the same training rows, the same scored rows and the same "
        "settings.",
        "Means, spreads and differences count failed runs; a missing run counts nowhere and is only listed.",
        not_equal(summary.settings),
    ]
    if any(best.optimistic for best in summary.best):
        sentences.append(
            "The best model was picked on the data that score it, so its own score is optimistic; "
            "the means in the table are not, they come from every run."
        )
    if summary.looks > 1:
        sentences.append(
            f"These results were looked at {count(summary.looks, 'time')} with differing numbers of runs; "
            "every look adds to the chance of a false verdict."
        )
    return sentences


def _settings(summary: Summary) -> list[tuple[str, str]]:
    settings = summary.settings
    return [
        ("model", settings.model),
        ("methods", "; ".join(settings.methods)),
        ("baseline", settings.baseline),
        ("tasks", ", ".join(settings.tasks)),
        ("seeds", ", ".join(map(str, settings.seeds))),
        ("training rows", _sizes(settings.train_size)),
        *common(settings),
        ("looks at the results", str(summary.looks)),
        *training(settings),
    ]


def _sizes(train_size: int | list[int] | None) -> str:
    if train_size is None:
        return "all"
    return ", ".join(map(str, train_size)) if isinstance(train_size, list) else str(train_size)
