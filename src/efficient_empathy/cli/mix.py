"""`efficient-empathy mix`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Force, Json, err, show
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.settings import MixSettings


def mix(
    settings: Annotated[MixSettings, Options(file="settings for mixing")],
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
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Mix a run's experts into a standard mixture, train its routers, and compare it with their average and the rest.

    Example: efficient-empathy mix --run runs/mine

    Without a run, any checkpoints of one base are mixed:
    efficient-empathy mix --expert org/a --expert ./b -o mixture
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.moe import mix as mix_run
    from efficient_empathy.modelling.moe import summary

    if run is None:
        _outside(expert or [], output, base, plain, settings, as_json)
        return
    if output is not None or base is not None or plain:
        raise UserError("-o, --base and --average go without --run: a run has its places, and always has its average")
    result = mix_run(Workspace(run), settings, experts=expert, console=err, force=force)
    show(result, as_json, summary(result, run))


def _outside(
    experts: list[str],
    output: Path | None,
    base: str | None,
    plain: bool,
    settings: MixSettings,
    as_json: bool,
) -> None:
    """Compose checkpoints that belong to no run: there is no data to train routers on, or to compare with."""
    from efficient_empathy.modelling.moe import average, compose

    if output is None or not experts:
        raise UserError("say what to mix: --run RUN, or --expert FOLDER --expert FOLDER -o FOLDER")
    if idle := sorted(settings.model_fields_set - {"shared", "top_k", "shard_bytes"}):
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
