"""How far judges agree, with themselves and with people, through `efficient-empathy agreement`.

    python -m benchmarks.judge_agreement

Reads $EMPATHY_SHARED_DATA. (a) An LLM judge asked three times at temperature 0.3 about 600 responses of three models to
200 statements (deepseek_judge_repeats). (b) Three experts, a crowd and three LLMs on 50 conversations of
EmpatheticDialogues (Kumar et al. 2025); `human_agreement` has the published figures beside ours. Intervals: 1,000
draws of statements or conversations, seed 0.
"""

from __future__ import annotations

import polars as pl

from benchmarks.human_agreement import EXPERTS, FOLDER
from efficient_empathy.evaluation.agreement import AgreementSettings, measure_agreement
from efficient_empathy.evaluation.agreement.page import between

AXES = ("emotion", "validation", "helpfulness", "safety", "overall")
FIGURES = {
    "all_same": "same in all three",
    "exact": "same in two",
    "spread": "spread",
    "kappa_quadratic": "weighted κ",
    "alpha_ordinal": "ordinal α",
    "spearman": "Spearman’s ρ",
}
COLUMNS = ("kappa_quadratic", "alpha_ordinal", "spearman", "exact", "within_one", "mean_shift")


def main() -> None:
    repeats, people = (FOLDER / "ratings" / f"{name}.jsonl.gz" for name in ("deepseek_judge_repeats", "kumar2025"))
    if not repeats.exists() or not people.exists():
        print(f"{repeats} or {people.name} is not here: set EMPATHY_SHARED_DATA to the data's folder")
        return
    repeatability(pl.read_ndjson(repeats, infer_schema_length=None))
    print()
    experts_and_judges(pl.read_ndjson(people, infer_schema_length=None))


def repeatability(rows: pl.DataFrame) -> None:
    """A judge with itself."""
    judgements = rows.select("sample_id", "model", "response", "judgements").explode("judgements").unnest("judgements")
    table = judgements.select(
        pl.concat_str("sample_id", "model", separator=" ").alias("item_id"),
        pl.col("sample_id").alias("dialogue_id"),
        (pl.col("repeat") + 1).alias("round"),
        *AXES,
    )
    record = measure_agreement({"deepseek-chat": table}, settings=AgreementSettings(scales=("1-5",)))
    print(f"| {rows['judge_model'][0]}, {record.items} responses | {' | '.join(FIGURES.values())} |")
    print("|---" * (1 + len(FIGURES)) + "|")
    for row in record.repeats:
        print(f"| {row.axis} | {' | '.join(between(row.figures[name]) for name in FIGURES)} |")


def experts_and_judges(rows: pl.DataFrame) -> None:
    """Experts, a crowd and judges on empathy."""
    ratings = rows.filter(dataset="empatheticdialogues").select(
        "annotator", "item_id", pl.col("scores").struct.unnest(), pl.col("item_id").alias("dialogue_id")
    )
    settings = AgreementSettings(people=tuple(EXPERTS), axes=("empathy",), scales=("1-5",))
    record = measure_agreement({"kumar2025": ratings}, settings=settings)
    [ceiling] = record.ceiling
    print("| empathy | with each expert | less the experts’ own | with the median of the others | verdict |")
    print("|---|---|---|---|---|")
    own = ceiling.people
    cells = [between(getattr(own, how)["kappa_quadratic"]) for how in ("pairwise", "leave_one_out")]
    print(f"| experts, between themselves | {cells[0]} | – | {cells[1]} | the ceiling |")
    for judge in ceiling.judges:
        each, rest = (between(getattr(judge, how)["kappa_quadratic"]) for how in ("pairwise", "leave_one_out"))
        short = between(judge.less.pairwise["kappa_quadratic"])
        print(f"| {judge.name} | {each} | {short} | {rest} | {judge.verdict} |")
    print("\n| against the experts’ median | weighted κ | ordinal α | Spearman’s ρ | same | within one | shift |")
    print("|---|---|---|---|---|---|---|")
    for judge in ceiling.judges:
        print(f"| {judge.name} | {' | '.join(between(judge.median[name]) for name in COLUMNS)} |")


if __name__ == "__main__":
    main()
