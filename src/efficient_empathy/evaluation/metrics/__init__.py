"""The metrics there are: those of the package, and those of installed packages.

A new metric is a file and a line in `BUNDLED`, or a package with an entry point in `ENTRY_POINTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from efficient_empathy.evaluation.metric import Metric, MetricOptions
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.plugins import Plugins

BUNDLED = {
    "official": "efficient_empathy.evaluation.metrics.official:Official",
    "standard": "efficient_empathy.evaluation.metrics.standard:Standard",
    "texts": "efficient_empathy.evaluation.metrics.texts:Texts",
    "perplexity": "efficient_empathy.evaluation.metrics.perplexity:Perplexity",
    "bertscore": "efficient_empathy.evaluation.metrics.bertscore:BertScore",
    "epitome": "efficient_empathy.evaluation.metrics.fitted:Epitome",
    "emotion": "efficient_empathy.evaluation.metrics.fitted:Emotion",
    "quality": "efficient_empathy.evaluation.metrics.quality:Quality",
}
DEFAULT = ("official", "texts")
ENTRY_POINTS = "efficient_empathy.metrics"
"""The group under which an installed package names its metrics: classes, or functions, that make one from
`MetricOptions`."""

METRICS: Plugins[Callable[[MetricOptions], Metric]] = Plugins("metric", ENTRY_POINTS, BUNDLED)


def require_metrics(names: Iterable[str]) -> None:
    """Raise `UserError` for a name that is no metric's. Installed packages are asked only for what is not bundled."""
    for name in names:
        METRICS.require(name)


def choose(names: Sequence[str], options: MetricOptions | None = None) -> list[Metric]:
    """The metrics called `names`.

    Raises `UserError` for a name that is none, for options that one lacks, for a package's metric that cannot be made,
    and for two metrics with a figure of the same name.
    """
    require_metrics(names)
    options = options or MetricOptions()
    metrics = [_metric(name, options) for name in dict.fromkeys(names)]
    owners: dict[str, str] = {}
    for metric in metrics:
        for figure in metric.figures:
            if owners.setdefault(figure.name, metric.name) != metric.name:
                raise UserError(
                    f"the metrics {owners[figure.name]} and {metric.name} both have a figure {figure.name!r}: leave "
                    "one of them out"
                )
    return metrics


def _metric(name: str, options: MetricOptions) -> Metric:
    maker = METRICS.load(name)
    if name in BUNDLED:
        return maker(options)
    try:
        metric = maker(options)
    except UserError:
        raise
    except Exception as error:
        raise METRICS.error(name, f"cannot be made: {error or type(error).__name__}") from error
    if not isinstance(metric, Metric) or metric.name != name:
        raise METRICS.error(
            name,
            f"is none: it needs name = {name!r}, figures, columns, about and measure "
            "(`efficient_empathy.evaluation.metric.Metric`)",
        )
    return metric
