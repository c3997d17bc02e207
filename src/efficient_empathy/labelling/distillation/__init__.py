"""Make a distilled judge from a run's judgements (extra `train`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from efficient_empathy.foundation.console import Console, bar
from efficient_empathy.foundation.errors import missing_extra
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.distillation.settings import DistillSettings


def run_distill(
    run: Path,
    output: Path,
    rubric: Path | None = None,
    settings: DistillSettings | None = None,
    *,
    console: Console | None = None,
) -> dict[str, Any]:
    """Distil a judge with a progress bar. Raises `UserError` without the extra."""
    try:
        import onnx  # noqa: F401
        import scipy  # noqa: F401
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise missing_extra("distill", "train") from error
    from efficient_empathy.labelling.distillation.stage import distill
    from efficient_empathy.scoring import Rubric

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    console = console or Console(stderr=True)
    with bar(console) as progress:
        tasks: dict[str, Any] = {}

        def on_step(what: str, step: int, steps: int, loss: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=steps)
            progress.update(tasks[what], completed=step, description=f"{what}, loss {loss:.3f}")
            if step == steps and not console.is_terminal:
                console.print(f"{what}: {steps} steps, last loss {loss:.3f}")

        return distill(Workspace(run), output, Rubric.load(rubric) if rubric else None, settings, on_step=on_step)


def summary(result: dict[str, Any], output: Path) -> str:
    """The figures of a distilled judge in words."""
    axes = ", ".join(f"{name} {figures['spearman']:.3f}" for name, figures in result["axes"].items())
    text = f"{result['samples']:,} judgements, {result['folds']}-fold by dialogue: Spearman {axes}."
    if labels := result.get("labels"):
        text += f" Subsets of {labels['policy']['name']}: {labels['accuracy_most_probable']:.3f} of the most probable "
        text += f"right, {labels['accuracy_shares_matched']:.3f} with the shares matched."
    if people := result.get("corrections"):
        near = ", ".join(
            f"{name} {f['mae']:.2f}" + ("" if f["judge_mae"] is None else f" (its teacher {f['judge_mae']:.2f})")
            for name, f in people["axes"].items()
        )
        text += f"\nOff what people set, on samples not seen: {near}."
    text += f"\nThe judge and its card: {output} ({result['megabytes']} MB)"
    return f"{text}\nUse it: --judge distilled --judge-model {output}"


__all__ = ["DistillSettings", "run_distill", "summary"]
