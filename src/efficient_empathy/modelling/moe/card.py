"""The README.md of a folder that was composed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def composed_card(record: Mapping[str, Any]) -> str:
    """The card of a mixture or an average, from the record in its composition.json."""
    from importlib.metadata import version

    names = ", ".join(record["experts"])
    rows = {"experts": names, "architecture": record["family"], "parameters": f"{record['parameters']:,}"}
    if record["kind"] == "average":
        title, tags = "Average of experts", "efficient-empathy, weight-average"
        what = f"The plain average of the weights of {len(record['experts'])} models: {names}."
    else:
        title, tags = "Mixture of experts", "efficient-empathy, moe"
        outside = "the experts' average" if record["shared"] == "average" else "the base model's"
        what = (
            f"The feed-forward blocks of {names} as routed experts, {record['top_k']} of {len(record['experts'])} for "
            f"each token; all other weights are {outside}. {_routers(record)}"
        )
        rows |= {"experts for a token": f"{record['top_k']} of {len(record['experts'])}"}
    rows["stored as"] = record["dtype"]
    lines = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return _HEAD.format(tags=tags, title=title, what=what, rows=lines, version=version("efficient-empathy"))


_STARTS = {
    "zero": "start from zero: all experts count alike",
    "given": "start from weights that were given",
    "centred_means": "start from the mean inputs of each expert's own samples, less the mean of all",
}


def _routers(record: Mapping[str, Any]) -> str:
    start = f"The routers {_STARTS[record['routers']]}"
    training = record.get("training")
    if training is None:
        return f"{start}; they are not trained."
    what = "they and nothing else" if training["train"] == "gates" else "they and every expert's gate_proj"
    return f"{start}. Then {what} were trained on {training['samples']:,} samples."
