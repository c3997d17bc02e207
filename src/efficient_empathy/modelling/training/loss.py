"""What a model makes of held-out responses: the negative log-likelihood of every response's tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import polars as pl

from efficient_empathy.modelling.training.examples import EncodedSample, encode

_ON_GPU, _ON_CPU = 4096, 1024


def batch_tokens(device: Any) -> int:
    """Tokens of one batch where nothing is kept for a backward pass, padding included: as many as make it quick."""
    return _ON_CPU if device.type == "cpu" else _ON_GPU


def response_losses(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    *,
    max_length: int | None = None,
    max_tokens: int | None = None,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> pl.DataFrame:
    """The losses of a model on every response: `sample_id`, `tokens`, `nll` (summed, in nats), in the order of `rows`.

    `rows` has `sample_id`, `prompt` and `completion`. The tokens counted are the response's, its end-of-turn token
    among them, each given the true tokens before it. A batch has at most `max_tokens` tokens, padding included
    (default: `batch_tokens`). Samples whose response exceeds `max_length` are left out.
    """
    samples = encode(rows, tokenizer, max_length).samples
    nll = losses(model, samples, max_tokens=max_tokens, on_batch=on_batch)
    return pl.DataFrame(
        {
            "sample_id": pl.Series([sample.sample_id for sample in samples], dtype=pl.String),
            "tokens": pl.Series([sample.response_tokens for sample in samples], dtype=pl.Int32),
            "nll": pl.Series(nll, dtype=pl.Float64),
        }
    )


def losses(
    model: Any,
    samples: Sequence[EncodedSample],
    *,
    max_tokens: int | None = None,
    forward: Any = None,
    share: tuple[int, int] = (0, 1),
    on_batch: Callable[[int, int], None] = lambda done, samples: None,
) -> list[float]:
    """Summed negative log-likelihood in nats of each sample's response, in the order given.

    Batches are of like length, so that there is next to no padding, and the output layer runs on response positions
    alone. `forward` is what is called in place of the model, such as its wrapper for several GPUs. `share` (k, n)
    measures the k-th of every n batches, zero elsewhere; every process runs equally many.
    """
    import torch

    result = [0.0] * len(samples)
    device = next(model.parameters()).device
    batches = by_length([len(sample.ids) for sample in samples], max_tokens or batch_tokens(device))
    k, n = share
    turns = -(-len(batches) // n)
    was_training = model.training
    model.eval()
    autocast: Any = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
    done = 0
    with torch.inference_mode(), autocast:
        for turn in range(turns):
            mine = turn * n + k
            batch = batches[min(mine, len(batches) - 1)]
            sums = _nll(model, forward or model, [samples[i] for i in batch], device)
            if mine < len(batches):
                for i, value in zip(batch, sums, strict=True):
                    result[i] = value
            done += len(batch)
            on_batch(done, len(samples))
    model.train(was_training)
    return result


def _nll(model: Any, forward: Any, samples: Sequence[EncodedSample], device: Any) -> list[float]:
    import torch
    from torch.nn.functional import cross_entropy

    width = max(len(sample.ids) for sample in samples)
    ids = torch.zeros((len(samples), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    response = torch.zeros((len(samples), width), dtype=torch.bool)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        mask[row, : len(sample.ids)] = 1
        response[row, max(1, sample.start) : len(sample.ids)] = True
    before = response.roll(-1, 1).to(device)
    with output_at(model, before):
        logits = forward(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
    each = cross_entropy(logits.float(), ids[response].to(device), reduction="none").double()
    rows = response.nonzero()[:, 0].to(device)
    total = torch.zeros(len(samples), dtype=torch.double, device=device).index_add_(0, rows, each)
    values: list[float] = total.tolist()
    return values


@contextmanager
def output_at(model: Any, positions: Any) -> Iterator[None]:
    """Run the output layer at `positions` only (a boolean mask, samples × tokens): logits are then positions × words.

    The output layer's cost is that of its vocabulary, so this saves most of it; what is left out is not needed.
    """
    handle = model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0][positions],))
    try:
        yield
    finally:
        handle.remove()


def by_length(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Indices in batches of like length, longest first, each of at most `max_tokens` padded tokens (or one sample)."""
    batches: list[list[int]] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or width * (len(batches[-1]) + 1) > max_tokens:
            batches.append([])
            width = lengths[index]
        batches[-1].append(index)
    return batches


def mean_losses(groups: Mapping[str, pl.DataFrame], frame: pl.DataFrame) -> dict[str, float]:
    """Mean nats a response token of each group of rows, from `response_losses` of all; groups without any left out."""
    unique = frame.unique("sample_id")
    means = {}
    for name, rows in groups.items():
        there = rows.select("sample_id").join(unique, on="sample_id")
        if tokens := int(there["tokens"].sum()):
            means[name] = float(there["nll"].sum()) / tokens
    return means


HELD_OUT = "held_out_"
"""What stands before a group's name in the trainer's log."""


class HeldOut:
    """Called, it gives the mean nats a response token of every group at this moment; each sample is run once."""

    def __init__(
        self,
        tokenizer: Any,
        groups: Mapping[str, pl.DataFrame],
        max_length: int,
        share: tuple[int, int] = (0, 1),
        on_batch: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """`share` (k, n): this process measures the k-th of every n batches; `on_batch` gets samples done, and all."""
        self.groups = {name: rows for name, rows in groups.items() if len(rows)}
        rows = [rows.select("sample_id", "prompt", "completion") for rows in self.groups.values()]
        each = pl.concat(rows).unique("sample_id", keep="first", maintain_order=True) if rows else None
        self.samples = encode(each, tokenizer, max_length).samples if each is not None else []
        self.share, self.on_batch = share, on_batch
        self.trainer: Any = None

    def __call__(self) -> dict[str, float]:
        """Mean losses by group; empty where nothing is held out."""
        if not self.samples:
            return {}
        import torch

        trainer = self.trainer
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        forward = trainer.model_wrapped if sharded else None  # whose parameters are gathered by their wrapper alone
        nll = torch.tensor(
            losses(trainer.model, self.samples, forward=forward, share=self.share, on_batch=self.on_batch)
        )
        if self.share[1] > 1:
            nll = trainer.accelerator.reduce(nll.to(trainer.args.device), "sum").cpu()
        columns = {
            "sample_id": [sample.sample_id for sample in self.samples],
            "tokens": [sample.response_tokens for sample in self.samples],
            "nll": nll.tolist(),
        }
        return mean_losses(self.groups, pl.DataFrame(columns))
