"""The summary that `analytics` prints: its numbers in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from efficient_empathy.analytics.correlations import POSITION
from efficient_empathy.analytics.record import (
    About,
    AnalyticsResult,
    Correlation,
    Cost,
    Drift,
    Filtering,
    Finding,
    Group,
    Groups,
)
from efficient_empathy.analytics.table import FEATURES
from efficient_empathy.foundation.figures.formatting import (
    clip,
    count,
    dollars,
    fixed,
    plural,
    probability,
    share,
    signed,
)

MOST_LINES = 8
TITLES = {
    "same_sample": "the same sample again",
    "near_duplicate": "near duplicates that could go",
    "empty_response": "empty responses",
    "one_word_response": "responses of one word",
    "empty_context": "empty contexts",
    "long_response": "responses too long",
    "long_context": "contexts too long",
    "listener_last": "contexts that end with the listener",
    "wrong_language": "in another language than most",
    "repeated_response": "responses that others have too",
    "email": "with an e-mail address",
    "phone": "with a telephone number",
    "card": "with a card number",
    "ip_address": "with a network address",
}
FEATURE_WORDS = {**FEATURES, POSITION: "position in the file"}
"""What a feature is called."""
LEVEL_WORDS = {
    "ok": "no shift", "watch": "a shift worth a look", "alarm": "a large shift",
    "unknown": "too few samples to tell",
}  # fmt: skip


def summary(result: AnalyticsResult, run: Path) -> str:
    """The result of `analytics`, with what to do next."""
    about = result.run
    head = f"{plural(about.samples, 'sample')} of {plural(about.dialogues, 'dialogue')}"
    lines = [head + (" (nothing had changed)" if result.skipped else "")]
    lines += [*_groups("categories", result.categories, about), *_groups("topics", result.topics, about)]
    lines += [*_filtering(result.filtering), *_correlations(result.correlations), *_drift(result.drift)]
    lines += [*_cost(result.cost), *_findings(result.findings, about.samples)]
    lines += [f"Note: {note}." for note in result.notes]
    return "\n".join([*lines, f"Written to {result.path}", f"Next: efficient-empathy studio {run}"])


def _groups(kind: str, profile: Groups, about: About) -> list[str]:
    groups = profile.groups
    if not groups:
        return []
    axes = list(about.axes)
    head = " ".join(f"{axis[:12]:>12}" for axis in [*axes, *about.subsets])
    lines = [f"{kind.capitalize()}, the largest of {len(groups)}:", f"  {'':<34} {'samples':>8} {head}"]
    for one in groups[:MOST_LINES]:
        row = " ".join(f"{fixed(one.axes[axis].value, 2):>12}" for axis in axes)
        row += "".join(f" {share(subset.count, one.scored):>12}" for subset in one.subsets.values())
        lines.append(f"  {clip(one.name, 34):<34} {count(one.samples):>8} {row}")
    return [*lines, *(line for axis in axes for line in _unlike(axis, groups))]


def _unlike(axis: str, groups: Sequence[Group]) -> list[str]:
    """Who has more and who less of an axis than all others."""
    against = [(one.axes[axis].from_others, one.name) for one in groups]
    tests = [(test, name) for test, name in against if test is not None and test.p_holm is not None]
    sure = [(test.value or 0.0, name) for test, name in tests if test.p_holm is not None and test.p_holm < 0.05]
    if not sure:
        return [f"  {axis}: none differs from the others (Holm)."] if tests else []
    apart = sorted((value, _quote(name)) for value, name in sure)
    ends = [("highest", *apart[-1]), ("lowest", *apart[0])]
    extremes = [f"{end} {name} ({signed(less, 2)})" for end, less, name in ends if (less > 0) == (end == "highest")]
    return [f"  {axis}: {len(sure)} of {len(tests)} differ from all others (Holm): {', '.join(extremes)}."]


def _quote(name: str) -> str:
    """A group's name among others: in quotation marks where it has commas of its own."""
    return f"“{name}”" if "," in name else name


def _filtering(filtering: Filtering | None) -> Iterator[str]:
    if filtering is None:
        return
    keeps = filtering.kept_samples
    yield f"Selection keeps {count(keeps)} of {count(filtering.samples)} ({share(keeps, filtering.samples)}):"
    for one in filtering.features:
        if one.p_holm is not None and one.p_holm < 0.05:
            yield (
                f"  {FEATURE_WORDS[one.feature]}: {fixed(one.kept_mean, 2)} kept, {fixed(one.dropped_mean, 2)} dropped "
                f"(p {probability(one.p_holm)}, Holm)"
            )
    for kind, balance in filtering.balance.items():
        yield (
            f"  balance of {kind}: entropy {fixed(balance.entropy_before, 3)} bits before, "
            f"{fixed(balance.entropy_after, 3)} after"
        )
        shares = {row.name: share(row.kept_samples, row.samples) for row in balance.retention}
        for word, names in (("more", balance.most_over), ("less", balance.most_under)):
            if names:
                yield f"    kept {word} than others: " + ", ".join(
                    f"{_quote(name)} {shares[name]}" for name in names[:3]
                )


def _correlations(correlations: Sequence[Correlation]) -> Iterator[str]:
    sure = [
        one for one in correlations if (one.low is not None and one.low > 0) or (one.high is not None and one.high < 0)
    ]
    if sure:
        yield "Scores go with (Spearman, the strongest):"
    for one in sorted(sure, key=lambda one: -abs(one.value or 0.0))[:MOST_LINES]:
        name = FEATURE_WORDS.get(one.other, one.other)
        yield (
            f"  {one.axis} ~ {name}: {signed(one.value, 2)} ({fixed(one.low, 2)} to {fixed(one.high, 2)}, "
            f"n = {count(one.samples)})"
        )


def _drift(drift: Drift) -> Iterator[str]:
    for one in drift.comparisons:
        blind = f" ({one.unknown} of {one.tests} tests have too few samples to tell)" if one.unknown else ""
        yield f"Drift of {one.actual.name} from {one.reference.name}: {LEVEL_WORDS[one.level]}{blind}"
        shifts = [row for row in (*one.axes, *one.mix) if row.level in ("watch", "alarm")]
        for row in sorted(shifts, key=lambda row: -(row.psi or 0.0))[:MOST_LINES]:
            where = f" of {row.category}" if row.category else ""
            means = f", mean {fixed(row.means[0], 2)} → {fixed(row.means[1], 2)}" if row.means else ""
            yield (
                f"  {row.level}: {FEATURE_WORDS.get(row.name, row.name)}{where}, PSI {fixed(row.psi, 3)} "
                f"(chance {fixed(row.psi_expected, 3)}), Jensen–Shannon {fixed(row.jensen_shannon, 3)}{means}"
            )


def _cost(cost: Cost | None) -> Iterator[str]:
    if cost is None:
        return
    total = cost.total
    yield (
        f"Judging: {plural(total.judgements, 'judgement')}, {plural(total.requests, 'request')}, "
        f"{plural(total.prompt_tokens + total.completion_tokens, 'token')}, {dollars(total.spent_usd or 0.0)}"
    )
    for one in cost.judges if len(cost.judges) > 1 else ():
        yield f"  {one.judge}: {plural(one.judgements, 'judgement')}, {dollars(one.cost_usd or 0.0)}"


def _findings(findings: Sequence[Finding], samples: int) -> Iterator[str]:
    there = [one for one in findings if one.count]
    yield "Data quality:" if there else "Data quality: nothing found"
    for one in there:
        yield f"  {count(one.count or 0):>8}  {share(one.count or 0, samples):>8}  {TITLES[one.kind]}"
