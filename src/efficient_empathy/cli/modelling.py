"""`train`, `mix`, `generate`: experts, their mixture, and what models respond."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.options import Force, Json, Options, Run, err, show, stop, takes_permissions
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.training.machines import MachineSettings
from efficient_empathy.modelling.training.settings import TrainingSettings


@takes_permissions
def train(
    run: Run,
    subset: Annotated[
        str,
        typer.Option(
            help="One of the policy's subsets (sensibility, rationality, discard, both …), all, union (all but "
            "discard), or random.",
            show_default=False,
        ),
    ],
    settings: Annotated[TrainingSettings, Options(file="training settings")],
    machines: Annotated[MachineSettings, Options()],
    name: Annotated[str | None, typer.Option(help="What the expert is called; as its subset by default.")] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Take so many samples by seeded hash; random: as many as the first subset."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train an expert on one subset of a selected run (extra `train`); the paper's settings by default.

    Example: efficient-empathy train --run runs/mine --subset sensibility --base meta-llama/Meta-Llama-3-8B-Instruct

    On two machines, the same on each but for the rank:
    efficient-empathy train --run /shared/mine --subset sensibility --machines 2 --machine-rank 0
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.training import help_train, summary
    from efficient_empathy.modelling.training import train as train_expert

    if machines.machine_rank:
        joined = help_train(Workspace(run), subset, settings, machines, name=name, console=err)
        done = "the training is over" if joined.trained else "there was nothing to train"
        place = f"Machine {joined.machine_rank} of {joined.machines}"
        show(joined, as_json, f"{place}: {done}. Machine 0 writes the expert {joined.name}.")
        return
    result = train_expert(
        Workspace(run), subset, settings, name=name, size=size, machines=machines, console=err, force=force
    )
    show(result, as_json, summary(result, run))


@takes_permissions
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
    base: Annotated[
        str | None, typer.Option(help="Without --run: the experts' base, for --shared base and --ties.")
    ] = None,
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

    One alone is merged into its base: efficient-empathy mix --expert runs/mine/experts/sensibility -o merged
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
    from efficient_empathy.modelling.moe.compose import average, compose, merge_by_ties

    if output is None or not experts:
        raise UserError("say what to mix: --run RUN, or --expert FOLDER --expert FOLDER -o FOLDER")
    if idle := sorted(settings.model_fields_set - {"shared", "top_k", "ties", "dtype", "shard_bytes"}):
        raise UserError(
            f"--{idle[0].replace('_', '-')} needs a run, whose samples routers are trained on: give --run RUN"
        )
    if plain and settings.ties:
        raise UserError("--average and --ties make one dense model each: give one of them")
    if plain or settings.ties or len(experts) == 1:
        merge = merge_by_ties if settings.ties else average
        result = merge(experts, output, base=base, dtype=settings.dtype, shard_bytes=settings.shard_bytes)
        what = {"average": "The average of", "ties": "Merged by TIES:"}.get(result.kind, "Merged into its base:")
        text = f"{what} {', '.join(result.experts)}: {output} ({result.parameters:,} parameters in {result.dtype})"
    else:
        result = compose(
            experts,
            output,
            base=base,
            shared=settings.shared,
            top_k=settings.top_k,
            dtype=settings.dtype,
            shard_bytes=settings.shard_bytes,
        )
        text = f"{', '.join(result.experts)} in one {result.family}: {output} ({result.parameters:,} parameters).\n"
        text += "Its routers are zero, so it weighs its experts alike."
        if settings.top_k < len(result.experts):
            text += f" Of equals the first {settings.top_k} are taken: train the routers before you use it."
    show(result, as_json, f"{text}\nServe it: transformers serve {output}")


@takes_permissions
def generate(
    model: Annotated[
        str,
        typer.Option(
            help="base, one of the run's (sensibility, average, moe …), a model's folder, a name of the hub, or with "
            "--base-url the name that the endpoint gives it.",
            show_default=False,
        ),
    ],
    settings: GenerationSettings,
    endpoint: EndpointOptions | None,
    reading: Annotated[ReadingSettings, Options(without=("on_bad_row",))],
    run: Annotated[
        Path | None, typer.Option("--run", help="The run whose samples are answered.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Answer a file, a folder, a URL or a hub data set instead of a run; needs -o.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="With --source: FILE.parquet for the responses.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the responses are kept under; the model's name by default.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Let a model respond to held-out contexts. Goes on where it was stopped; responses are kept as they come.

    Example: efficient-empathy generate --run runs/mine --model moe --samples 200

    Example: efficient-empathy generate --run runs/mine --model gpt-4o-mini --base-url https://api.openai.com/v1
    --template empathetic_instruction --max-cost 2
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.generation import generate as run_generate
    from efficient_empathy.modelling.generation import summary

    result = run_generate(
        Workspace(run) if run else None, model, settings,
        name=name, endpoint=endpoint, source=source, output=output, reading=reading, console=err, force=force,
    )  # fmt: skip
    show(result, as_json, summary(result))
    stop(result.ending)
