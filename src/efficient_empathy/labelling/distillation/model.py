"""The student: a pre-trained encoder with one ordinal head per axis, and how it is fitted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from efficient_empathy.encoders import pad
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.processor import multiplies_bf16
from efficient_empathy.labelling.distillation.settings import StudentSettings

Encoded = Sequence[tuple[list[int], int]]


class Student(nn.Module):
    """One softmax over the levels per axis, from the encoder's last states: of [CLS], and their means over context and
    response.
    """

    def __init__(self, base: Path | str, axes: int, levels: int, dropout: float) -> None:
        super().__init__()
        try:
            config = AutoConfig.from_pretrained(base)
            for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
                if hasattr(config, name):
                    setattr(config, name, 0.0)
            self.encoder = AutoModel.from_pretrained(base, config=config, attn_implementation="eager")
        except (OSError, ValueError) as error:
            raise UserError(f"cannot load the base encoder {base}: {str(error).splitlines()[0]}") from error
        self.encoder.pooler = None
        self._has_segments = getattr(config, "type_vocab_size", 1) > 1
        # Freezing the 12 M word vectors halves the cost of a step and loses nothing in cross-validation.
        self.encoder.get_input_embeddings().requires_grad_(False)
        self._base = base
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3 * self.encoder.config.hidden_size, axes * levels)
        self.axes, self.levels = axes, levels

    def freeze(self, share: float) -> None:
        """Leave that share of the layers, the lowest, and all beneath them as they are.

        Raises `UserError` for an encoder whose layers are in no list.
        """
        many = self.encoder.config.num_hidden_layers
        if not (count := round(share * many)):
            return
        lists = (part for part in self.encoder.modules() if isinstance(part, nn.ModuleList) and len(part) == many)
        if (layers := next(lists, None)) is None:
            raise UserError(f"the layers of {self._base} are in no list, so that none can be frozen: freeze none")
        self.encoder.requires_grad_(False)
        layers[count:].requires_grad_(True)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits, (samples × axes × levels)."""
        segments = {"token_type_ids": token_type_ids} if self._has_segments else {}
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state
        response = token_type_ids.unsqueeze(-1).to(states.dtype)
        context = (attention_mask - token_type_ids).unsqueeze(-1).to(states.dtype)
        means = [(states * part).sum(1) / part.sum(1).clamp(min=1) for part in (response, context)]
        pooled = self.dropout(torch.cat([states[:, 0], *means], -1))
        logits: Tensor = self.head(pooled).view(-1, self.axes, self.levels)
        return logits


def ordinal_loss(logits: Tensor, targets: Tensor, rank_weight: float, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy plus `rank_weight` × the ranked probability score (Epstein 1969): squared distance of the CDFs.

    `weights`, (samples × axes), say how much each target counts; the same without.
    """
    cross_entropy = -(targets * logits.log_softmax(-1)).sum(-1)
    gap = logits.softmax(-1).cumsum(-1) - targets.cumsum(-1)
    losses = cross_entropy + rank_weight * gap.square().sum(-1)
    return losses.mean() if weights is None else (losses * weights).mean()


def fit(
    base: Path | str,
    encoded: Encoded,
    targets: np.ndarray,
    settings: StudentSettings,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    weights: np.ndarray | None = None,
) -> Student:
    """Fit a student, on the first GPU where there is one; `on_step` gets the step, the number of steps and the loss.

    `weights`, (samples × axes), say how much each target counts beside the others; all the same without. Raises
    `UserError` on a NaN loss or weight.
    """
    torch.manual_seed(settings.seed)
    _, axes, levels = targets.shape
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    student = Student(base, axes, levels, settings.dropout).to(device)
    student.freeze(settings.frozen_layers)
    head = {"params": list(student.head.parameters()), "lr": settings.head_learning_rate}
    body = {"params": [p for p in student.encoder.parameters() if p.requires_grad], "lr": settings.learning_rate}
    optimizer = torch.optim.AdamW([head, body], weight_decay=0.01)
    steps = settings.epochs * -(-len(encoded) // settings.batch)
    warmup = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / max(1, steps - warmup)))
    )
    order = random.Random(settings.seed)
    all_targets = torch.as_tensor(targets, device=device)
    all_weights = None if weights is None else torch.as_tensor(weights / weights.mean(), device=device)
    student.train()
    step = 0
    for _ in range(settings.epochs):
        for batch in _batches([len(ids) for ids, _ in encoded], settings.batch, order):
            with _precision(device):
                logits = student(**_inputs([encoded[i] for i in batch], device))
            own_weights = None if all_weights is None else all_weights[batch]
            loss = ordinal_loss(logits.float(), all_targets[batch], settings.rank_weight, own_weights)
            if not torch.isfinite(loss):
                raise UserError(f"the loss is {loss.item()} at step {step}: lower the learning rate")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            on_step(step, steps, loss.item())
    if not all(torch.isfinite(parameter).all() for parameter in student.parameters()):
        raise UserError("the last step left weights that are not finite (NaN or infinity): lower the learning rate")
    return student.eval()


@torch.no_grad()
def predict(student: Student, encoded: Encoded, batch: int = 64) -> np.ndarray:
    """Logits, (samples × axes × levels) float32, in order."""
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
    device = next(student.parameters()).device
    result = np.empty((len(encoded), student.axes, student.levels), np.float32)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        with _precision(device):
            logits = student(**_inputs([encoded[i] for i in rows], device))
        result[rows] = logits.float().cpu().numpy()
    return result


def _precision(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or multiplies_bf16())


def _inputs(encoded: Encoded, device: torch.device) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array).to(device) for name, array in pad(encoded).items()}


def _batches(lengths: Sequence[int], size: int, order: random.Random) -> list[list[int]]:
    """Shuffled batches of like length: shuffled, cut into windows of 50 batches, sorted by length within a window."""
    rows = list(range(len(lengths)))
    order.shuffle(rows)
    batches = []
    for start in range(0, len(rows), 50 * size):
        window = sorted(rows[start : start + 50 * size], key=lambda i: lengths[i])
        batches += [window[i : i + size] for i in range(0, len(window), size)]
    order.shuffle(batches)
    return batches
