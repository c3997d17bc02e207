"""How diverse samples are: by the vectors of what they say, and by the words of their responses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from efficient_empathy.analytics.topics import clusters
from efficient_empathy.evaluation.metrics.texts import Distinct
from efficient_empathy.evaluation.tokens import Encoder, splitter
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.synthesis.diversity.points import Places, Rows, Ties
from efficient_empathy.synthesis.diversity.record import DiversityRecord, Method, Spread
from efficient_empathy.synthesis.diversity.self_bleu import self_bleu

MOST_TEXTS = 2000
MOST_CLUSTERS, PER_CLUSTER = 200, 2


def measure_diversity(
    responses: Sequence[str],
    rows: Rows,
    kept: Places,
    ties: Ties,
    *,
    method: Method,
    encoder: str,
    real: int = 0,
    radius: float | None = None,
) -> DiversityRecord:
    """Compare all samples, those at the places `kept`, and as many others: those of the lowest `ties`.

    `rows` (n × width, of length 1) are the samples' vectors. Clusters are so many that two kept samples would fall
    into each, 200 at most. The figures of words are from so many responses of each set as the smallest has, 2,000 at
    most, drawn by their ties (of all samples the highest, of others the lowest): they depend on how many there are.
    """
    order = np.argsort(ties, kind="stable")
    number = min(MOST_CLUSTERS, max(1, len(kept) // PER_CLUSTER))
    cluster = np.empty(len(rows), np.int64)
    cluster[order] = clusters(rows[order], number)
    is_kept = np.zeros(len(rows), bool)
    is_kept[kept] = True
    sets = {"all": order[::-1], "kept": order[is_kept[order]], "random": order[: len(kept)]}
    texts = min(MOST_TEXTS, len(kept))
    signature, spreads = "", {}
    for name, places in sets.items():
        words, signature = _words([responses[place] for place in places[:texts]])
        covered = len(np.unique(cluster[places]))
        distance = mean_distance(rows[places])
        spreads[name] = Spread(samples=len(places), distance=distance, covered=covered, **words)
    return DiversityRecord(
        method=method,
        real=real,
        radius=radius,
        encoder=encoder,
        clusters=number,
        texts=texts,
        self_bleu=signature,
        **spreads,
    )


def mean_distance(rows: Rows) -> float | None:
    """The mean of 1 − cosine over all pairs of rows of length 1, exact by way of their sum; None of fewer than two."""
    n = len(rows)
    if n < 2:
        return None
    total = rows.sum(0, dtype=np.float64)
    same = np.einsum("ij,ij->", rows, rows, dtype=np.float64)
    return float(1 - (total @ total - same) / (n * (n - 1)))


def _words(texts: Sequence[str]) -> tuple[dict[str, float | None], str]:
    tokens = Encoder(splitter("auto")[0])(texts)
    figures: dict[str, float | None] = {}
    for order in (1, 2):
        figures |= {
            name: float(value[0]) for name, value in Distinct(f"distinct{order}", tokens, order).under().items()
        }
    try:
        figures["self_bleu"], signature = self_bleu(texts)
    except UserError as error:
        figures["self_bleu"], signature = None, str(error)
    return figures, signature
