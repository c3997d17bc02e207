"""`efficient-empathy refresh`."""

from __future__ import annotations

from typing import Annotated, Any

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import DryRun, Json, Rubric, Run, err, show, stop
from efficient_empathy.labelling.refresh.settings import RefreshSettings
from efficient_empathy.scoring.judges.registry import options_model


def refresh(
    run: Run,
    settings: RefreshSettings,
    options: Annotated[dict[str, Any], Options(options_model())],
    rubric: Rubric = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Judge samples of a scored run again where a score is uncertain, and pool what was said.

    Example: efficient-empathy refresh --run runs/mine --dry-run

    Example: efficient-empathy refresh --run runs/mine --which uncertain --judge openai:gpt-4o --max-cost 5
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.refresh.record import plan_text, summary
    from efficient_empathy.labelling.refresh.stage import plan_refresh
    from efficient_empathy.labelling.refresh.stage import refresh as run_refresh
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric

    workspace, loaded = Workspace(run), LoadedRubric.load(rubric)
    if dry_run:
        plan = plan_refresh(workspace, settings, loaded, options)
        show(plan, as_json, plan_text(plan))
        return
    result = run_refresh(workspace, settings, loaded, options, console=err)
    show(result, as_json, summary(result, run))
    stop(result["ending"])
