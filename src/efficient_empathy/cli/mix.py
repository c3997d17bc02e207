"""`efficient-empathy mix`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import Force, Json, err, pairs, show
from efficient_empathy.foundation.errors import UserError


class Shared(StrEnum):
    """What is outside the experts."""

    average = "average"
    base = "base"


class Init(StrEnum):
    """Where routers start."""

    zero = "zero"
    centred_means = "centred_means"


class Trained(StrEnum):
    """What is trained once the experts are mixed."""

    gates = "gates"
    gates_and_gate_proj = "gates+gate_proj"
    none = "none"


class RouterData(StrEnum):
    """What routers are trained on."""

    union = "union"
    held_back = "held_back"


def mix(
    run: Annotated[
        Path | None, typer.Option("--run", help="The run whose experts are mixed and compared.", show_default=False)
    ] = None,
    expert: Annotated[
        list[str] | None,
        typer.Option(
            help="An expert of the run; without --run a folder or a hub name. Once for each.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Without --run: the mixture's folder.", show_default=False)
    ] = None,
    base: Annotated[str | None, typer.Option(help="Without --run: the experts' base, for --shared base.")] = None,
    plain: Annotated[
        bool, typer.Option("--average", help="Without --run: average the experts to one dense model instead.")
    ] = False,
    shared: Annotated[
        Shared | None,
        typer.Option(help="Outside the feed-forward blocks: the experts' average (default), or the base."),
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Experts for each token; 2 by default.")] = None,
    init: Annotated[
        Init | None, typer.Option(help="Routers start at zero (default), or at each subset's mean inputs.")
    ] = None,
    train: Annotated[
        Trained | None,
        typer.Option(help="The routers (default); also every gate_proj, as the released code does; or nothing."),
    ] = None,
    router_data: Annotated[
        RouterData | None, typer.Option(help="What the experts saw (default), or dialogues held back from them.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the routers; 1e-4 by default.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Of the routers; 1 by default.")] = None,
    settings: Annotated[Path | None, typer.Option(help="A YAML file of settings for mixing.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, e.g. --set batch_size=8. See docs/moe.md.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Mix a run's experts into a standard mixture, train its routers, and compare it with their average and the rest.

    Example: efficient-empathy mix --run runs/mine

    Without a run, any checkpoints of one base are mixed:
    efficient-empathy mix --expert org/a --expert ./b -o mixture
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.moe import load_settings, summary
    from efficient_empathy.modelling.moe import mix as mix_run

    given: dict[str, Any] = {
        "shared": shared, "top_k": top_k, "init": init, "train": train, "router_data": router_data,
        "learning_rate": learning_rate, "epochs": epochs,
    }  # fmt: skip
    named = {key: value for key, value in given.items() if value is not None}
    chosen = load_settings(settings, {k: v.value if isinstance(v, StrEnum) else v for k, v in named.items()}
                           | pairs(change, "--set"))  # fmt: skip
    if run is None:
        _outside(expert or [], output, base, plain, chosen, sorted(named), as_json)
        return
    if output is not None or base is not None or plain:
        raise UserError("-o, --base and --average go without --run: a run has its places, and always has its average")
    result = mix_run(Workspace(run), chosen, experts=expert, console=err, force=force)
    show(result, as_json, summary(result, run))


def _outside(
    experts: list[str],
    output: Path | None,
    base: str | None,
    plain: bool,
    settings: Any,
    named: list[str],
    as_json: bool,
) -> None:
    """Compose checkpoints that belong to no run: there is no data to train routers on, or to compare with."""
    from efficient_empathy.modelling.moe import average, compose

    if output is None or not experts:
        raise UserError("say what to mix: --run RUN, or --expert FOLDER --expert FOLDER -o FOLDER")
    if idle := [name for name in named if name not in ("shared", "top_k")]:
        raise UserError(
            f"--{idle[0].replace('_', '-')} needs a run, whose samples routers are trained on: give --run RUN"
        )
    if plain:
        made = average(experts, output, base=base, shard_bytes=settings.shard_bytes)
        text = f"The average of {', '.join(made['experts'])}: {output} ({made['parameters']:,} parameters)"
    else:
        made = compose(
            experts, output, base=base, shared=settings.shared, top_k=settings.top_k, shard_bytes=settings.shard_bytes
        )
        text = f"{', '.join(made['experts'])} in one {made['family']}: {output} ({made['parameters']:,} parameters).\n"
        text += "Its routers are zero, so it weighs its experts alike."
        if made["top_k"] < len(made["experts"]):
            text += f" Of equals the first {made['top_k']} are taken: train the routers before you use it."
    show(made, as_json, f"{text}\nServe it: transformers serve {output}")
