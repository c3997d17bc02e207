"""The data card of a selection: what the subsets hold, how they were selected, what was lost, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import yaml

from efficient_empathy.foundation.run.stages import ScoreSummary, SelectRecord
from efficient_empathy.foundation.run.table import UNSCORED
from efficient_empathy.selection.policies import RulePolicy, policy_of_definition, policy_words
from efficient_empathy.selection.policies.conditions import number_text

MOST_CATEGORIES = 200
MOST_FILES = 20
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def data_card(counts: pl.DataFrame, selection: SelectRecord, axes: Sequence[str], scoring: ScoreSummary) -> str:
    """The card as Markdown with Hugging Face's YAML front matter, one config a subset that has samples.

    `counts` has `subset, category, state, count`; `axes` are the rubric's; `scoring` is the manifest's record of the
    scoring.
    """
    subsets = list(selection.subsets)
    return "\n".join(
        [
            _front_matter(counts, selection.subsets, axes),
            f"# {_title(axes)}\n",
            "Each row is one context and one listener's response, as `prompt` and `completion` and as `messages`, with "
            f"the scores that the judge “{_text(scoring.judge)}” gave the response. Made with [efficient-empathy](https://arxiv.org/abs/2407.01937).\n",
            "## Subsets\n",
            _table(["subset", "samples", "share of scored"], _sizes(counts, subsets)),
            *_synthetic(selection),
            "## How they were selected\n",
            *_policy(selection),
            *([f"{selection.corrections.text()}\n"] if selection.corrections else []),
            "`assignments.parquet` has every sample with its subset and the reason.\n",
            "## What was lost or mended, and why\n",
            _table(["what", "how many"], _losses(counts, scoring)),
            "## By category\n",
            _table(["category", *subsets, UNSCORED], _categories(counts, subsets)),
            "## Where it comes from\n",
            _table(["", ""], _provenance(selection.inputs, scoring)),
        ]
    )


def _title(axes: Sequence[str]) -> str:
    *first, last = axes
    return f"Dialogues selected by {', '.join(first)} and {last}" if first else f"Dialogues selected by {last}"


def _front_matter(counts: pl.DataFrame, sizes: Mapping[str, int], axes: Sequence[str]) -> str:
    total = int(counts["count"].sum())
    filled = [subset for subset, size in sizes.items() if size]
    front = {
        "pretty_name": _title(axes),
        "task_categories": ["text-generation"],
        "tags": ["conversational", "empathy", "data-selection", "efficient-empathy"],
        "size_categories": [next((name for limit, name in _SIZES if total < limit), "n>10M")],
        "configs": [{"config_name": subset, "data_files": f"{subset}.parquet"} for subset in filled],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n"


def _policy(selection: SelectRecord) -> list[str]:
    """The policy in words, one line a rule, and what it decided on."""
    policy = policy_of_definition(selection.policy)
    first = "the first rule that holds decides" if isinstance(policy, RulePolicy) else "of all samples with scores"
    lines = [f"{number}. {_text(words)}" for number, words in enumerate(policy_words(policy), 1)]
    about = [_text(policy.description), ""] if policy.description else []
    return [
        *about,
        f"By the policy “{_text(policy.name)}”, {first}:\n",
        *lines,
        "",
        f"It decided on {selection.decided_on}; equal samples were told apart with the seed {selection.seed}.\n",
    ]


def _synthetic(selection: SelectRecord) -> list[str]:
    """How much of it a model has made; nothing where nothing is."""
    if not selection.synthetic_part:
        return []
    share = selection.synthetic_share
    limit = "" if share is None else f" At most {number_text(100 * share)} % of a subset may be."
    return [
        f"{selection.synthetic_part}: a model made them, and their `split` is `synthetic`.{limit}\n",
        _table(["subset", "of them synthetic"], [(name, f"{n:,}") for name, n in selection.synthetic.items()]),
    ]


def _sizes(counts: pl.DataFrame, subsets: Sequence[str]) -> list[tuple[str, ...]]:
    size = {subset: int(counts.filter(subset=subset)["count"].sum()) for subset in subsets}
    total = sum(size.values())
    return [(s, f"{n:,}", f"{n / total:.2%}" if total else "–") for s, n in size.items()]


def _losses(counts: pl.DataFrame, scoring: ScoreSummary) -> list[tuple[str, ...]]:
    states = counts.filter(subset=UNSCORED).group_by("state").agg(pl.col("count").sum()).sort("count", descending=True)
    rows: list[tuple[str, ...]]
    rows = [(f"without scores: {state or 'not judged'}", f"{n:,}") for state, n in states.iter_rows()]
    rows += [
        ("bad rows in the source, skipped", f"{scoring.bad_rows:,}"),
        ("duplicates", f"{scoring.duplicates:,}"),
        *((f"mended: {_text(kind)}", f"{n:,}") for kind, n in scoring.repairs.items()),
    ]
    if unread_files := scoring.skipped_files:
        names = ", ".join(_text(Path(file).name) for file in unread_files[:MOST_FILES])
        rest = len(unread_files) - MOST_FILES
        rows.append(
            (f"files not read: {names}" + (f" and {rest:,} more" if rest > 0 else ""), f"{len(unread_files):,}")
        )
    return rows


def _categories(counts: pl.DataFrame, subsets: Sequence[str]) -> list[tuple[str, ...]]:
    columns = [*subsets, UNSCORED]
    table = (
        counts.group_by("category")
        .agg(*(pl.col("count").filter(pl.col("subset") == c).sum().alias(c) for c in columns))
        .with_columns(pl.sum_horizontal(columns).alias("total"))
        .sort("total", "category", descending=[True, False])
    )
    rows = [
        (_text(r["category"] if r["category"] is not None else "no category"), *(f"{r[c]:,}" for c in columns))
        for r in table.head(MOST_CATEGORIES).iter_rows(named=True)
    ]
    if len(table) > MOST_CATEGORIES:
        rest = table.slice(MOST_CATEGORIES)
        rows.append((f"{len(rest):,} smaller ones", *(f"{rest[c].sum():,}" for c in columns)))
    return rows


def _provenance(inputs: Mapping[str, str], scoring: ScoreSummary) -> list[tuple[str, ...]]:
    source, rubric = scoring.source, scoring.rubric
    facts = [
        ("source", source.name),
        ("read as", source.format),
        ("Digest of the source (SHA-256)", source.digest),
        ("judge", scoring.judge),
        ("rubric", rubric.name),
        ("hash of the rubric", rubric.hash),
        ("scales", ", ".join(f"{name} {low}–{high}" for name, (low, high) in rubric.axes.items())),
    ]
    rows: list[tuple[str, ...]] = [(name, _text(value)) for name, value in facts if value]
    rows.append(("cost of scoring", f"${scoring.cost_usd:,.4f}"))
    return rows + [(f"SHA-256 of {name}", f"`{digest}`") for name, digest in inputs.items()]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _text(value: object) -> str:
    """A value inside a table's cell: whatever a category holds, it stays one cell of plain text."""
    return " ".join(str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
