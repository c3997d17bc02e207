"""A group whose commands are imported when they are called: its own help needs one line of each and no module."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

INTERRUPTED = 130
"""The exit status of what was stopped before it was done, as a shell has it for Ctrl-C."""
BARE: Mapping[str, str] = {"--show-prompt": "1"}
"""Options whose number may be left out, and what it is then."""
LOOK: dict[str, Any] = {"no_args_is_help": True, "pretty_exceptions_enable": False, "rich_markup_mode": None}


class Command(TyperCommand):
    """A command whose `BARE` options may stand without their number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the numbers that were left out."""
        whole: list[str] = []
        for i, arg in enumerate(args):
            has_number = "".join(args[i + 1 : i + 2]).lstrip("-").isdigit()
            whole += [arg, BARE[arg]] if arg in BARE and not has_number else [arg]
        return super().parse_args(ctx, whole)


@dataclass(frozen=True)
class Place:
    """Where a command is, below `efficient_empathy.cli`: `module:function`; and what it does, in one line."""

    address: str
    line: str


@dataclass(frozen=True)
class Room:
    """A group of commands within a group."""

    line: str
    commands: Mapping[str, Place]


Table = Mapping[str, Place | Room]


def commands_of(table: Table) -> dict[str, Place]:
    """All commands by what is typed for them, those of groups too: `prompts golden`."""
    commands: dict[str, Place] = {}
    for name, entry in table.items():
        inner = {name: entry} if isinstance(entry, Place) else {f"{name} {n}": e for n, e in entry.commands.items()}
        commands |= inner
    return commands


def function_of(place: Place) -> Callable[..., None]:
    """The function behind a command; imports its module."""
    module, _, function = place.address.partition(":")
    command: Callable[..., None] = getattr(import_module(f"efficient_empathy.cli.{module}"), function)
    return command


def lazy_group(table: Table) -> type[TyperGroup]:
    """A class of groups with the commands of `table`."""

    class Lazy(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = {name: TyperCommand(name, short_help=entry.line) for name, entry in table.items()}
            self.outlines = False

        def list_commands(self, ctx: Any) -> list[str]:
            return [*table]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            entry = table.get(cmd_name)
            if entry is None or self.outlines:
                return self.commands.get(cmd_name)
            return _group(cmd_name, entry) if isinstance(entry, Room) else command_of(cmd_name, entry)

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            with self._outlined():
                super().format_commands(ctx, formatter)

        def shell_complete(self, ctx: Any, incomplete: str) -> Any:
            with self._outlined():
                return super().shell_complete(ctx, incomplete)

        @contextmanager
        def _outlined(self) -> Iterator[None]:
            self.outlines = True
            try:
                yield
            finally:
                self.outlines = False

    return Lazy


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A user's error is one sentence on stderr and exit status 1; an interrupt says that nothing is lost."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        from efficient_empathy.cli.options import err
        from efficient_empathy.foundation.errors import FULL, UserError, disk_is_full

        try:
            command(*arguments, **options)
        except UserError as error:
            err.print(f"Error: {error}", style="bold red")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            err.print("Interrupted. Nothing that was finished is lost: the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except Exception as error:
            if not disk_is_full(error):
                raise
            place = getattr(error, "filename", None) or "a file"
            err.print(f"Error: cannot write {place}: {FULL}", style="bold red")
            raise typer.Exit(1) from None

    return run


def command_of(name: str, place: Place) -> Any:
    """A command as typer runs it, with the options of its settings models."""
    from efficient_empathy.cli.options import with_options

    command = function_of(place)
    app = typer.Typer(add_completion=False, **{**LOOK, "no_args_is_help": False})
    app.command(name, cls=Command)(guarded(with_options(command)))
    return typer.main.get_command(app)


def _group(name: str, room: Room) -> Any:
    app = typer.Typer(name=name, cls=lazy_group(room.commands), help=room.line, add_completion=False, **LOOK)
    app.callback()(lambda: None)
    return typer.main.get_group(app)
