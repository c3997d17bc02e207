"""What a selection writes for training: a data set a subset, a data card, and the settings of other trainers.

Rows are TRL's conversational format: `messages` with `role` (user, assistant) and `content`, the response last. The
same lines are what LLaMA-Factory calls sharegpt, and `train`, true for the response alone, is for Axolotl. Read again,
a row is the one sample that was selected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from efficient_empathy.dialogues import uniform
from efficient_empathy.foundation.errors import error_context
from efficient_empathy.foundation.run.stages import ScoreSummary, SelectRecord
from efficient_empathy.foundation.run.table import UNSCORED
from efficient_empathy.foundation.run.workspace import atomic, file_hash
from efficient_empathy.selection.policies import RulePolicy, policy_of_definition, policy_words

RECIPES = ("llamafactory.yaml", "axolotl.yaml", "train_unsloth.py")
EXPORTS = ("dataset_info.json", *RECIPES)
"""The names that `write_exports` writes."""
_SUBSET = "@subset@"
"""Stands for the subset's name in the files that the recipes are made from."""
ABOUT = ("sample_id", "dialogue_id", "category", "split")
MOST_CATEGORIES = 200
MOST_FILES = 20
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def write_exports(folder: Path, subsets: Sequence[str], otherwise: str) -> None:
    """Write LLaMA-Factory's register and one recipe a trainer, with the paper's settings, beside the subsets' files.

    The trainers are not imported, since their requirements exclude each other. The recipes name the first subset that
    is not `otherwise`, the one that is left out. In the register `dataset_dir` is the folder and `dataset` is
    `efficient_empathy_<subset>`. Raises `UserError` when a file cannot be written.
    """
    info = {f"efficient_empathy_{subset}": _entry(f"{subset}.jsonl") for subset in subsets}
    with atomic(folder / "dataset_info.json") as path:
        path.write_text(json.dumps(info, indent=2) + "\n", "utf-8")
    first = next((subset for subset in subsets if subset != otherwise), otherwise)
    for name in RECIPES:
        text = (files(__package__) / "export_files" / f"{name}.txt").read_text("utf-8")
        with atomic(folder / name) as path:
            path.write_text(text.replace(_SUBSET, first), "utf-8")


def _entry(file_name: str) -> dict[str, Any]:
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }


def data_card(counts: pl.DataFrame, selection: SelectRecord, axes: Sequence[str], scoring: ScoreSummary) -> str:
    """The card as Markdown with Hugging Face's YAML front matter, one config a subset.

    `counts` has `subset, category, state, count`; `axes` are the rubric's; `scoring` is the manifest's record of the
    scoring.
    """
    subsets = list(selection.subsets)
    return "\n".join(
        [
            _front_matter(counts, subsets, axes),
            f"# {_title(axes)}\n",
            "Each row is one context and one listener's response as `messages`, with the scores that "
            f"the judge “{_text(scoring.judge)}” gave the response. Made with [efficient-empathy](https://arxiv.org/abs/2407.01937).\n",
            "## Subsets\n",
            _table(["subset", "samples", "share of scored"], _sizes(counts, subsets)),
            "## How they were selected\n",
            *_policy(selection),
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


def _front_matter(counts: pl.DataFrame, subsets: Sequence[str], axes: Sequence[str]) -> str:
    total = int(counts["count"].sum())
    front = {
        "pretty_name": _title(axes),
        "task_categories": ["text-generation"],
        "tags": ["conversational", "empathy", "data-selection", "efficient-empathy"],
        "size_categories": [next((name for limit, name in _SIZES if total < limit), "n>10M")],
        "configs": [{"config_name": subset, "data_files": f"{subset}.parquet"} for subset in subsets],
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
        ("SHA-256 of the source", source.digest),
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


def messages() -> pl.Expr:
    """`context` and `response` as one list of messages: speaker → user, listener → assistant.

    The response is appended to a list of plain strings that carry their role as a first letter (r for the response),
    because polars appends to lists of strings 7 times faster than to lists of structs.
    """
    turn = pl.element()
    letter = pl.when(turn.struct["role"] == "speaker").then(pl.lit("u")).otherwise(pl.lit("a"))
    context = pl.col("context").list.eval(pl.concat_str(letter, turn.struct["text"]))
    response = pl.concat_str(pl.lit("r"), pl.col("response"))
    role = pl.when(turn.str.starts_with("u")).then(pl.lit("user")).otherwise(pl.lit("assistant"))
    message = pl.struct(role=role, content=turn.str.slice(1), train=turn.str.starts_with("r"))
    return pl.concat_list(context, response).list.eval(message).alias("messages")


def write_subsets(rows: pl.LazyFrame, folder: Path, subsets: Sequence[str], axes: Sequence[str]) -> None:
    """Write `<subset>.parquet` and `<subset>.jsonl` for every subset, empty ones too, in one pass over `rows`.

    `rows` has `context`, `response`, `subset`, and what is written beside the messages: `ABOUT` and the `axes`. Rows of
    other subsets are left out. A missing category or split is null in Parquet and empty text in JSON lines, see
    `uniform`. Raises `UserError` when a file cannot be written or the samples cannot be read.
    """
    folder = folder.resolve()  # polars compares the paths of the parts with it
    data = rows.filter(pl.col("subset").is_in(subsets)).select(messages(), *ABOUT, *axes, "subset")
    with ExitStack() as stack:
        tables = {subset: stack.enter_context(atomic(folder / f"{subset}.parquet")) for subset in subsets}
        names = ", ".join(f"{subset}.parquet" for subset in subsets)
        with error_context(f"write {names} to {folder} from the samples"):
            data.sink_parquet(
                pl.PartitionBy(
                    folder,
                    key="subset",
                    include_key=False,
                    file_path_provider=lambda file: str(tables[file.partition_keys["subset"].item()]),
                ),
                compression_level=1,
                engine="streaming",
            )
            for table in tables.values():
                if not table.exists():
                    pl.DataFrame(schema=data.drop("subset").collect_schema()).write_parquet(table)
        hashes = stack.enter_context(ThreadPoolExecutor(1))  # the manifest will ask for them; see `file_hash`
        for subset, table in tables.items():
            path = folder / f"{subset}.jsonl"
            with error_context(f"write {path}"), atomic(path) as lines:
                uniform(pl.scan_parquet(table)).sink_ndjson(lines, check_extension=False, engine="streaming")
            hashes.submit(file_hash, path)
