"""`efficient-empathy prompts test`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.asking import (
    ApiKeyEnv,
    BaseUrl,
    Concurrency,
    DryRun,
    MaxAttempts,
    MaxTokens,
    Model,
    Prices,
    Reply,
    ReplyForm,
    Temperature,
    Timeout,
)
from efficient_empathy.cli.score import INTERRUPTED
from efficient_empathy.cli.shared import Json, Rubric, err, show


def golden_test(
    golden: Annotated[
        str, typer.Argument(help="A golden set's folder, or bundled for the one in the package.", show_default=False)
    ],
    rubric: Rubric = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="Who is tested: distilled, distilled:FOLDER, openai:MODEL, openai:MODEL@URL or replay:FILE; distilled "
            "by default. Several, one after the other, by naming it again."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option("-k", "--repeats", help="How often each item is judged.", min=1)] = 3,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="An earlier result of this golden set to compare with, a file, or latest; by default the golden set's "
            "own expectations."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder of ledger and results; prompt-tests/NAME.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown to this file.")] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Ask nothing: look at the last result again, with what else is given here.")
    ] = False,
    policy: Annotated[str | None, typer.Option(help="paper, exclusive or both; the golden set's by default.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Threshold of sensibility; the golden set's by default.")] = None,
    beta: Annotated[float | None, typer.Option(help="Threshold of rationality; the golden set's by default.")] = None,
    tolerate_shift: Annotated[float, typer.Option(help="Of an axis's mean, in points.", min=0)] = 0.3,
    tolerate_noise: Annotated[float, typer.Option(help="Rise of the deviation of repeats, in points.", min=0)] = 0.3,
    tolerate_subsets: Annotated[
        float, typer.Option(help="Share of samples that change subset beyond noise.", min=0, max=1)
    ] = 0.1,
    tolerate_failures: Annotated[
        float, typer.Option(help="Rise of the share of judgements that fail.", min=0, max=1)
    ] = 0.05,
    false_alarms: Annotated[
        float,
        typer.Option(
            help="How often an unchanged judge may be found changed, all checks together.", min=0.001, max=0.2
        ),
    ] = 0.001,
    confidence: Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.999)] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and of the draws of chance.", min=0)] = 0,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    reply: Reply = ReplyForm.auto,
    logprobs: Annotated[bool, typer.Option("--logprobs", help="openai: expected score over the score token.")] = False,
    temperature: Temperature = 0.0,
    max_tokens: MaxTokens = 100,
    concurrency: Concurrency = 64,
    timeout: Timeout = 60.0,
    max_attempts: MaxAttempts = 5,
    max_cost: Annotated[
        float | None,
        typer.Option(help="openai: US dollars that this folder's ledger may come to in all; never exceeded.", min=0),
    ] = None,
    prices: Prices = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put judges to a golden set, and say whether they have changed.

    Exit status: 0 pass, 3 soft (a real change, within what is tolerated), 4 regression, 5 insufficient (the set is too
    small to tell), 6 incomparable (corpus, parser or decoding differ); 1 and 2 are errors. Interrupted, the same
    command goes on where it was; finished, it asks anew.

    Example: efficient-empathy prompts test golden --rubric mine.yaml --judge openai:gpt-4o-mini --max-cost 1

    Example: efficient-empathy prompts test golden --judge openai:qwen@http://localhost:8000/v1 --baseline latest
    --junit test.xml
    """
    from efficient_empathy.foundation.run.workspace import Workspace, atomic
    from efficient_empathy.prompts.golden.golden_set import read_golden
    from efficient_empathy.prompts.testing.junit import write_junit
    from efficient_empathy.prompts.testing.rounds import StoppedError, plan
    from efficient_empathy.prompts.testing.stage import Procedure, folder_of, run_tests
    from efficient_empathy.prompts.testing.verdicts import Tolerances
    from efficient_empathy.prompts.testing.words import markdown as as_markdown
    from efficient_empathy.prompts.testing.words import summary
    from efficient_empathy.scoring.judges.choice import JudgeOptions
    from efficient_empathy.scoring.judges.openai import Decoding
    from efficient_empathy.scoring.plan import plan_text
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric

    loaded, references = LoadedRubric.load(rubric), judge or ["distilled"]
    options = JudgeOptions(
        model=model,
        base_url=base_url,
        api_key_env=api_key_env,
        decoding=Decoding(reply.value, temperature, max_tokens, logprobs),
        concurrency=concurrency,
        timeout_s=timeout,
        max_attempts=max_attempts,
        max_cost=max_cost,
        prices=prices,
    )
    if dry_run:
        found = read_golden(golden, loaded)
        estimate = plan(found, loaded, references, repeats, Workspace(output or folder_of(found)), options)
        show(estimate, as_json, plan_text(estimate))
        return
    procedure = Procedure(
        repeats=repeats,
        baseline=baseline,
        tolerances=Tolerances(
            tolerate_shift, tolerate_noise, tolerate_subsets, tolerate_failures, false_alarms, confidence
        ),
        thresholds={"policy": policy, "alpha": alpha, "beta": beta},
        seed=seed,
        reuse=reuse,
    )
    try:
        result = run_tests(golden, references, loaded, procedure, options, output=output, console=err)
    except StoppedError as stopped:
        err.print(str(stopped), markup=False)
        raise typer.Exit(INTERRUPTED) from None
    if junit is not None:
        write_junit(junit, result)
    if markdown is not None:
        with atomic(markdown) as path:
            path.write_text(as_markdown(result), "utf-8")
    shown = {**result, "results": [{k: v for k, v in one.items() if k != "items"} for one in result["results"]]}
    show(shown, as_json, summary(result))
    if result["exit_code"]:
        raise typer.Exit(result["exit_code"])
