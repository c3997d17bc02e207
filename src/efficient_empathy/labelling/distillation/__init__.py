"""Make a distilled judge from a run's judgements (extra `train`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from efficient_empathy.foundation.errors import missing_extra
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Rubric


def run_distill(
    run: Path,
    output: Path,
    rubric: Path | None = None,
    *,
    base: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    console: Console | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Distil a judge with a progress bar; `options` as of `stage.distill`. Raises `UserError` without the extra."""
    try:
        import onnx  # noqa: F401
        import scipy  # noqa: F401
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise missing_extra("distill", "train") from error
    from efficient_empathy.labelling.distillation.model import Settings
    from efficient_empathy.labelling.distillation.stage import distill

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    settings = Settings(seed=seed) if epochs is None else Settings(seed=seed, epochs=epochs)
    console = console or Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def on_step(what: str, step: int, steps: int, loss: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=steps)
            progress.update(tasks[what], completed=step, description=f"{what}, loss {loss:.3f}")
            if step == steps and not console.is_terminal:
                console.print(f"{what}: {steps} steps, last loss {loss:.3f}")

        return distill(
            Workspace(run), output, Rubric.load(rubric), base=base, settings=settings, on_step=on_step, **options
        )


def summary(result: dict[str, Any], output: Path) -> str:
    """The figures of a distilled judge in words."""
    axes = ", ".join(f"{name} {figures['spearman']:.3f}" for name, figures in result["axes"].items())
    text = f"{result['samples']:,} judgements, {result['folds']}-fold by dialogue: Spearman {axes}."
    if label := result.get("paper_label"):
        text += f" Three-way label: {label['accuracy_most_probable']:.3f} of the most probable right, "
        text += f"{label['accuracy_shares_matched']:.3f} with the shares matched."
    text += f"\nThe judge and its card: {output} ({result['megabytes']} MB)"
    return f"{text}\nUse it: --judge distilled --judge-model {output}"


__all__ = ["run_distill", "summary"]
