"""An expert's model card: what it was trained on, how, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from efficient_empathy.foundation.run.stages import ScoreSummary, SelectRecord
from efficient_empathy.modelling.training.models import BUNDLED_NAME
from efficient_empathy.modelling.training.record import HeldOutLoss, TrainingRecord
from efficient_empathy.modelling.training.settings import TrainingSettings

LICENCE = (
    "These weights inherit what they were made from: the licence of the base model and that of the data, the stricter "
    "of the two. Check both before you pass them on."
)
_WORDS = {
    "learning_rate": "learning rate",
    "scheduler": "schedule",
    "warmup_ratio": "warm-up",
    "weight_decay": "weight decay",
    "batch_size": "samples a batch",
    "gradient_accumulation": "batches a step",
    "epochs": "epochs",
    "max_length": "tokens at most",
    "seed": "seed",
}


def card(record: TrainingRecord, selection: SelectRecord | None, scoring: ScoreSummary | None, bundled: bool) -> str:
    """The card as Markdown with Hugging Face's YAML front matter.

    `scoring` is the manifest's record of that stage; `bundled` says that the base is the package's own.
    """
    settings = record.settings
    local = Path(record.base).is_absolute()
    base = BUNDLED_NAME if bundled else Path(record.base).name if local else record.base
    front: dict[str, Any] = {
        "library_name": "peft" if record.method == "lora" else "transformers",
        "pipeline_tag": "text-generation",
        "license": "other",
        "tags": ["conversational", "empathy", "efficient-empathy", "trl", "sft"],
    }
    if not local:
        front["base_model"] = base
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
            f"# {record.name}: an expert on the subset {record.subset}\n",
            f"{_method(record)} of {base}, trained on {record.samples:,} responses of {record.dialogues:,} "
            "dialogues with the loss on the response alone. Made by `efficient-empathy train` "
            "([Efficient-Empathy](https://arxiv.org/abs/2407.01937)).\n",
            "## Data\n",
            _table([("what", ""), *_data(record, selection, scoring)]),
            "## Training\n",
            _table([("setting", "value"), *_settings(record)]),
            "## Losses\n",
            "Mean nats a response token on held-out dialogues, the end-of-turn token counted.\n",
            _table(_losses(record.held_out)) if record.held_out else "No dialogues were held out.\n",
            "## Use\n",
            f"Ask it in the prompt template `{record.template.name}` (hash {record.template.hash}), the "
            "one it was trained in.\n",
            f"## Licence\n\n{LICENCE}\n",
            "## Limits\n\nIt answers as the dialogues that it learnt from do, mistakes among them. It is no therapist, "
            f"and must not be used as one.{_seed(settings)}\n",
        ]
    )


def _method(record: TrainingRecord) -> str:
    lora = record.settings.lora
    if record.method == "full":
        return "A full-parameter fine-tuning" + (" of the feed-forward blocks" if record.settings.mlp_only else "")
    return f"A LoRA adapter (rank {lora.r}, alpha {lora.alpha:g}, dropout {lora.dropout:g})"


def _data(
    record: TrainingRecord, selection: SelectRecord | None, scoring: ScoreSummary | None
) -> list[tuple[str, str]]:
    thresholds = selection.thresholds if selection else {}
    rows = [
        ("source", scoring.source.name if scoring else None),
        ("judge", scoring.judge if scoring else None),
        ("policy", selection.policy_name if selection else None),
        ("thresholds", ", ".join(f"{name} = {value:g}" for name, value in thresholds.items())),
        ("subset", record.subset),
        ("samples cut to the length limit", f"{record.truncated:,}"),
        ("samples left out as too long", f"{record.too_long:,}"),
        ("response tokens seen", f"{record.tokens.response:,}"),
        ("all tokens seen", f"{record.tokens.all:,}"),
    ]
    return [(name, str(value)) for name, value in rows if value]


def _settings(record: TrainingRecord) -> list[tuple[str, str]]:
    rows = [(words, f"{getattr(record.settings, key)}") for key, words in _WORDS.items()]
    share = record.trainable_parameters / max(1, record.parameters)
    tried = [f"{one.learning_rate:g} ({_loss(one.loss) or 'failed'})" for one in record.tried]
    return [
        *rows,
        *(
            [("learning rates tried, and their held-out losses, by which one was kept", ", ".join(tried))]
            if tried
            else []
        ),
        ("steps", f"{record.steps:,}"),
        ("trained parameters", f"{record.trainable_parameters:,} of {record.parameters:,} ({share:.1%})"),
        ("precision, device", f"{record.precision}, {record.device}"),
        ("seconds", f"{record.seconds:,.0f}"),
    ]


def _losses(held_out: Sequence[HeldOutLoss]) -> list[tuple[str, ...]]:
    names = list(held_out[-1].loss)
    return [("step", *names), *((f"{line.step:,}", *(_loss(line.loss.get(n)) for n in names)) for line in held_out)]


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _seed(settings: TrainingSettings) -> str:
    return f" One seed ({settings.seed}) was trained: differences to another model may be luck."


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *rest = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rest]) + "\n"
