"""A composed checkpoint's folder: whole or absent, with a card."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from efficient_empathy.foundation.errors import UserError, write_context
from efficient_empathy.foundation.run.files import require_in_place, sync
from efficient_empathy.modelling.moe.record import COMPOSITION, CompositionRecord

SPARE = 64 << 20
"""Bytes that stay free on the disk."""


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A new folder to write to; it becomes `out` when the block ends well, in place of what was there, else it goes.

    What a killed process left beside `out` is swept first; if it was killed between the two renames, the folder that it
    had moved aside comes back. Raises `UserError` where nothing can be written.
    """
    work, aside = (out.with_name(f".{out.name}.{kind}") for kind in ("work", "old"))
    try:
        with write_context(out):
            require_in_place(out)
            out.parent.mkdir(parents=True, exist_ok=True)
            sweep(out)
            work.mkdir()
            yield work
            for path in (*(p for p in work.rglob("*") if p.is_file()), work):
                sync(path)
            if out.exists():
                out.rename(aside)
            work.rename(out)
            sync(out.parent)
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def require_ours(out: Path, sources: Iterable[Path]) -> None:
    """Raises `UserError` if writing `out` would replace something that was not composed here, or one of `sources`."""
    sweep(out)
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out} is not a folder: give the name of a new one")
    if any(out.resolve() in (source.resolve(), *source.resolve().parents) for source in sources):
        raise UserError(f"{out} holds what is to be mixed: give the name of a new folder")
    if out.is_dir() and any(out.iterdir()) and not (out / COMPOSITION).exists():
        raise UserError(
            f"{out} holds something that was not composed here, and is left alone: give a new folder's name"
        )


def sweep(out: Path) -> None:
    """Remove what a killed process left of its writing of `out`; a folder that it had moved aside comes back."""
    work, aside = (out.with_name(f".{out.name}.{kind}") for kind in ("work", "old"))
    if aside.exists() and not out.exists():
        aside.rename(out)
    for folder in (work, aside):
        if folder.exists():
            shutil.rmtree(folder)


def require_space(out: Path, size: int, what: str) -> None:
    """Raises `UserError` if the disk of `out` has less than `needed` bytes and a little more free."""
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < size + SPARE:
        raise UserError(
            f"{what} needs {_gigabytes(size + SPARE)} on the disk of {place}, which has {_gigabytes(free)} free: "
            "make room, or write to another disk"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


_HEAD = """---
library_name: transformers
pipeline_tag: text-generation
tags: [{tags}]
---
# {title}

{what}

| | |
|---|---|
{rows}

The folder is an ordinary checkpoint: transformers, vLLM and llama.cpp load it with no code of ours. Made by
efficient-empathy {version} (arXiv 2407.01937).
"""


def composed_card(record: CompositionRecord) -> str:
    """The card of what was composed."""
    from importlib.metadata import version

    names = ", ".join(record.experts)
    rows = {"experts": names, "architecture": record.family, "parameters": f"{record.parameters:,}"}
    if record.kind == "average":
        title, tags = "Average of experts", "efficient-empathy, weight-average"
        what = f"The plain average of the weights of {len(record.experts)} models: {names}."
    elif record.kind == "ties":
        title, tags = "TIES merge of experts", "efficient-empathy, ties"
        what = f"{names} in one dense model by TIES (arXiv 2306.01708): of the largest fifth of what each has changed "
        what += "in the base, the mean of those that have the sign of their sum."
    elif record.kind == "merged":
        title, tags = f"{names}, merged", "efficient-empathy"
        what = f"The expert {names} as one dense model: its adapter merged into its base."
    else:
        title, tags = "Mixture of experts", "efficient-empathy, moe"
        outside = "the experts' average" if record.shared == "average" else "the base model's"
        what = (
            f"The feed-forward blocks of {names} as routed experts, {record.top_k} of {len(record.experts)} for "
            f"each token; all other weights are {outside}. {_routers(record)}"
        )
        rows |= {"experts for a token": f"{record.top_k} of {len(record.experts)}"}
    rows["stored as"] = record.dtype
    lines = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return _HEAD.format(tags=tags, title=title, what=what, rows=lines, version=version("efficient-empathy"))


_STARTS = {
    "zero": "start from zero: all experts count alike",
    "given": "start from weights that were given",
    "centred_means": "start from the mean inputs of each expert's own samples, less the mean of all",
}


def _routers(record: CompositionRecord) -> str:
    start = f"The routers {_STARTS[record.routers or 'zero']}"
    training = record.training
    if training is None:
        return f"{start}; they are not trained."
    what = "they and nothing else" if training.train == "gates" else "they and every expert's gate_proj"
    return f"{start}. Then {what} were trained on {training.samples:,} samples."
