"""The metrics there are: those of the package, and those of installed packages. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from efficient_empathy.evaluation.metric import Metric, MetricOptions
from efficient_empathy.foundation.errors import UserError

BUNDLED = {
    "official": "official:Official",
    "standard": "standard:Standard",
    "texts": "texts:Texts",
    "perplexity": "perplexity:Perplexity",
    "bertscore": "bertscore:BertScore",
    "epitome": "fitted:Epitome",
    "emotion": "fitted:Emotion",
    "quality": "quality:Quality",
}
"""Name → module:class in this folder; each class is made from `MetricOptions`."""
DEFAULT = ("official", "texts")
ENTRY_POINTS = "efficient_empathy.metrics"
"""The group under which an installed package names its metrics: classes, or functions, that make one from
`MetricOptions`."""


def metric_names() -> tuple[str, ...]:
    """The names that `choose` knows: the package's own, then those of installed packages."""
    return (*BUNDLED, *sorted(set(_plugins()) - set(BUNDLED)))


def require_metrics(names: Iterable[str]) -> None:
    """Raise `UserError` for a name that is no metric's. Installed packages are asked only for what is not bundled."""
    unknown = [name for name in names if name not in BUNDLED]
    known = metric_names() if unknown else ()
    if wrong := next((name for name in unknown if name not in known), None):
        raise UserError(f"there is no metric {wrong!r}: choose of {', '.join(known)}")


def choose(names: Sequence[str], options: MetricOptions | None = None) -> list[Metric]:
    """The metrics called `names`.

    Raises `UserError` for a name that is none, for options that one lacks, for a package's metric that cannot be made,
    and for two metrics with a figure of the same name.
    """
    require_metrics(names)
    options = options or MetricOptions()
    metrics = [_maker(name)(options) for name in dict.fromkeys(names)]
    owners: dict[str, str] = {}
    for metric in metrics:
        for figure in metric.figures:
            if owners.setdefault(figure.name, metric.name) != metric.name:
                raise UserError(
                    f"the metrics {owners[figure.name]} and {metric.name} both have a figure {figure.name!r}: leave "
                    "one of them out"
                )
    return metrics


def _maker(name: str) -> Callable[[MetricOptions], Metric]:
    if name in BUNDLED:
        module, _, kind = BUNDLED[name].partition(":")
        maker: Callable[[MetricOptions], Metric] = getattr(import_module(f"{__name__}.{module}"), kind)
        return maker
    return lambda options: _installed(_plugins()[name], options)


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _installed(point: EntryPoint, options: MetricOptions) -> Metric:
    owner = point.dist.name if point.dist else point.value
    try:
        metric = point.load()(options)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the metric {point.name} of the package {owner} cannot be made: {error}") from error
    if not isinstance(metric, Metric) or metric.name != point.name:
        raise UserError(
            f"what the package {owner} calls the metric {point.name} is none: it needs name = {point.name!r}, figures, "
            "columns, about and measure (`efficient_empathy.evaluation.metric.Metric`)"
        )
    return metric
