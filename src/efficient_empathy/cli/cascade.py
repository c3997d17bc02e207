"""`efficient-empathy cascade`."""

from __future__ import annotations

from typing import Annotated, Any

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import DryRun, Json, ReadAgain, Rubric, Run, Source, err, show, stop
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.scoring.judges.registry import options_model


def cascade(
    source: Source,
    run: Run,
    settings: CascadeSettings,
    options: Annotated[dict[str, Any], Options(options_model())],
    reading: ReadingSettings,
    rubric: Rubric = None,
    dry_run: DryRun = False,
    force: ReadAgain = False,
    as_json: Json = False,
) -> None:
    """Score with the distilled judge where it is sure and an expert elsewhere, with a guarantee on the labels.

    Example: efficient-empathy cascade dialogues.jsonl --run runs/mine --model gpt-4o --error 0.05 --dry-run

    Example: efficient-empathy cascade dialogues.jsonl --run runs/mine --expert anthropic:MODEL --max-cost 20
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.cascade.record import summary
    from efficient_empathy.labelling.cascade.stage import cascade as run_cascade
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric
    from efficient_empathy.scoring.stage import require_scores

    workspace, loaded = Workspace(run), LoadedRubric.load(rubric)
    result = run_cascade(
        source, workspace, settings, loaded, options, dry_run=dry_run, console=err, force=force, **reading.arguments()
    )
    if dry_run:
        show(result, as_json, "Dry run: nothing was asked of the expert.")
        return
    show(result, as_json, summary(result, run))
    stop(result["ending"])
    require_scores(result)
