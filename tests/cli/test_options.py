from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from typer.testing import CliRunner, Result

from efficient_empathy.cli.lazy import guarded
from efficient_empathy.cli.options import Options, with_options
from efficient_empathy.foundation.settings import Flag, Settings


class Inner(Settings):
    rank: int = Field(default=8, ge=1)
    """How wide."""


class Near(Settings):
    heat: float = Field(default=0.5, ge=0)
    """How hot."""


class Everything(Settings):
    rate: float = Field(default=1e-4, gt=0)
    """How fast."""
    steps: int | None = None
    """How far."""
    kind: Literal["slow", "quick"] = "slow"
    """How."""
    pace: Literal["auto"] | bool = "auto"
    """Whether."""
    quiet: bool = False
    """Say nothing."""
    sound: bool = True
    """Say something."""
    names: tuple[str, ...] = ("a", "b")
    """Who."""
    places: Annotated[tuple[str, ...], Flag("-p --place", repeats=True)] = ()
    """Where."""
    columns: dict[str, str] = Field(default_factory=dict)
    """What is called what."""
    file: Path | None = None
    """From where."""
    inner: Inner = Inner()
    """Further in."""
    near: Annotated[Near, Flag(inline=True)] = Near()
    """Beside."""


class Address(Settings):
    url: str
    """Where it is."""
    tries: int = 3
    """How often."""


def call(command: Any, *arguments: str) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(guarded(with_options(command)))
    return CliRunner().invoke(app, [*arguments])


def filled(*arguments: str) -> Everything:
    seen: list[Everything] = []

    def command(settings: Annotated[Everything, Options(file="settings of a test")]) -> None:
        seen.append(settings)

    done = call(command, *arguments)
    assert done.exit_code == 0, done.output
    return seen[0]


def fault(*arguments: str) -> str:
    def command(settings: Annotated[Everything, Options(file="settings of a test")]) -> None:
        raise AssertionError

    done = call(command, *arguments)
    assert done.exit_code == 1
    return " ".join(done.stderr.split())


def test_every_kind_of_field_is_an_option() -> None:
    everything = filled(
        "--rate", "1e-3", "--steps", "4", "--kind", "quick", "--pace", "false", "--quiet", "--no-sound",
        "--names", "x, y,z", "-p", "here, there", "--place", "b", "--columns", "a=b", "--columns", "c=d=e",
        "--file", "f.txt", "--heat", "2", "--set", "inner.rank=3",
    )  # fmt: skip
    assert everything == Everything(
        rate=1e-3, steps=4, kind="quick", pace=False, quiet=True, sound=False, names=("x", "y", "z"),
        places=("here, there", "b"), columns={"a": "b", "c": "d=e"}, file=Path("f.txt"), near=Near(heat=2),
        inner=Inner(rank=3),
    )  # fmt: skip


def test_what_is_not_given_is_absent_so_that_a_file_counts(tmp_path: Path) -> None:
    assert filled().model_fields_set == set()
    path = tmp_path / "mine.yaml"
    path.write_text("rate: 2\nkind: quick\ninner:\n  rank: 5\n")
    settings = filled("--settings", str(path), "--rate", "3", "--set", "inner.rank=6")
    assert (settings.rate, settings.kind, settings.inner.rank) == (3, "quick", 6)


@given(st.floats(min_value=1e-9, max_value=1e9), st.integers(min_value=-(10**9), max_value=10**9))
def test_a_number_arrives_as_it_was_typed(rate: float, steps: int) -> None:
    settings = filled(f"--rate={rate!r}", f"--steps={steps}")
    assert (settings.rate, settings.steps) == (rate, steps)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "0"), "Error: --rate: Input should be greater than 0"),
        (("--steps", "many"), "Error: --steps: Input should be a valid integer"),
        (("--kind", "sideways"), "Error: --kind: Input should be 'slow' or 'quick'"),
        (("--heat", "-1"), "Error: --heat: Input should be greater than or equal to 0"),
        (("--rate", "nan"), "Error: --rate: Input should be a finite number"),
        (("--columns", "a"), "Error: --columns takes NAME=VALUE, not 'a'"),
        (("--set", "inner.rnk=1"), "inner.rnk is no key: did you mean rank?"),
        (("--set", "inner.rank=0", "--rate", "1"), "settings of a test: inner.rank: Input should be greater"),
    ],
)
def test_an_error_names_the_flag_or_the_key(arguments: tuple[str, ...], said: str) -> None:
    assert said in fault(*arguments)


def test_help_has_the_models_words_defaults_and_choices() -> None:
    def command(settings: Annotated[Everything, Options(file="settings of a test", without=("quiet",))]) -> None:
        pass

    told = " ".join(call(command, "--help").output.split())
    for said in (
        "--rate NUMBER How fast. [default: 0.0001]", "--steps INTEGER How far.", "--kind [slow|quick] How.",
        "--pace [auto|true|false]", "--sound / --no-sound", "--names NAME,NAME… Who. [default: a,b]",
        "-p, --place TEXT Where.", "--heat NUMBER How hot. [default: 0.5]", "e.g. --set inner.rank=8",
    ):  # fmt: skip
        assert said in told
    assert "--quiet" not in told
    assert "--inner" not in told


def test_a_model_that_may_be_absent_is_none_or_whole() -> None:
    seen: list[Address | None] = []

    def command(address: Address | None) -> None:
        seen.append(address)

    assert call(command).exit_code == 0
    assert call(command, "--url", "u", "--tries", "4").exit_code == 0
    assert seen == [None, Address(url="u", tries=4)]
    assert "--tries needs --url" in call(command, "--tries", "4").stderr


def test_a_mapping_has_only_what_was_given() -> None:
    seen: list[dict[str, Any]] = []

    def command(changes: Annotated[dict[str, Any], Options(Everything, only=("rate", "steps"))]) -> None:
        seen.append(changes)

    assert call(command, "--rate", "2").exit_code == 0
    assert call(command, "--kind", "quick").exit_code == 2
    assert seen == [{"rate": 2.0}]
