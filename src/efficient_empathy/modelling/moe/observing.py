"""What happens inside a model where it makes response tokens: forward passes with hooks on some of its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from efficient_empathy.modelling.training.loss import by_length
from efficient_empathy.modelling.training.tokens import Encoded

See = Callable[[int, Any, Sequence[Any], Any], None]
MAX_TOKENS = 4096
"""Tokens of one batch, padding included."""


def routers(model: Any) -> list[tuple[str, Any]]:
    """The model's routers by name, first layer first: the modules whose parameter ends in `.mlp.gate.weight`."""
    return [(name, module) for name, module in model.named_modules() if name.endswith(".mlp.gate")]


def observe(
    model: Any,
    samples: Sequence[Encoded],
    modules: Sequence[Any],
    see: See,
) -> None:
    """Run the model over `samples` in batches and call `see` for each of the modules.

    Its arguments: the module's place in `modules`; its input; its outputs; and which sample each row of these is of.
    Rows are the positions that response tokens are predicted from.
    """
    import torch

    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    autocast: Any = torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")
    with torch.inference_mode(), autocast:
        for batch in by_length([len(sample.ids) for sample in samples], MAX_TOKENS):
            ids, mask, wanted = _padded([samples[i] for i in batch], device)
            owners = torch.tensor(batch, device=device)[wanted.nonzero()[:, 0]]
            with _watched(modules, wanted.flatten(), owners, see):
                model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
    model.train(was_training)


def _padded(samples: Sequence[Encoded], device: Any) -> tuple[Any, Any, Any]:
    import torch

    width = max(len(sample.ids) for sample in samples)
    ids = torch.zeros((len(samples), width), dtype=torch.long)
    mask, wanted = torch.zeros_like(ids), torch.zeros((len(samples), width), dtype=torch.bool)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        mask[row, : len(sample.ids)] = 1
        wanted[row, max(1, sample.start) - 1 : len(sample.ids) - 1] = True
    return ids.to(device), mask.to(device), wanted.to(device)


@contextmanager
def _watched(modules: Sequence[Any], wanted: Any, owners: Any, see: See) -> Iterator[None]:
    def hook(index: int) -> Callable[[Any, Any, Any], None]:
        def watch(_: Any, inputs: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple) else (output,)
            entered, *left = (part.reshape(-1, part.shape[-1])[wanted] for part in (inputs[0], *parts))
            see(index, entered, left, owners)

        return watch

    with ExitStack() as stack:
        for index, module in enumerate(modules):
            stack.callback(module.register_forward_hook(hook(index)).remove)
        yield
