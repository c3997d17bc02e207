"""Several machines that train one expert: they meet in the run's folder, which all of them must see."""

from __future__ import annotations

import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, JsonValue, ValidationError, model_validator

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, write_context
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import Settings
from efficient_empathy.modelling.training.settings import TrainingSettings

P = TypeVar("P", bound=Part)
LOOK_S = 0.2
"""Between two looks for the others."""
LEAVE_S = 5.0
"""So long the first machine waits for the others to read that it has failed, or that there is nothing to do."""


class MachineSettings(Settings):
    """The machines that train together."""

    machines: int = Field(default=1, ge=1)
    """Machines that train the expert together: each gets the same command, with a --machine-rank of its own, and sees
    the run and the base under the same path."""
    machine_rank: int = Field(default=0, ge=0)
    """With several machines: which of them this is; 0 writes the run and shows the progress."""
    address: str | None = None
    """With several machines: HOST or HOST:PORT at which the others reach machine 0; its host name and a free port by
    default."""
    join_timeout: float = Field(default=600.0, gt=0)
    """Seconds for which machines wait for each other before the training begins."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.machine_rank >= self.machines:
            raise ValueError(
                f"machine_rank is {self.machine_rank} of {self.machines} machines: it is 0 to machines - 1"
            )
        if self.address is not None and (self.machines == 1 or self.machine_rank):
            raise ValueError("address is that of machine 0 of several: give it to that one alone")
        if self.address is not None and not self.address.partition(":")[2].isdecimal() and ":" in self.address:
            raise ValueError(f"address is {self.address!r}, which is not HOST or HOST:PORT")
        return self


@dataclass(frozen=True)
class Place:
    """A machine's place among those that train together, and where the first one is; port 0 is a free one."""

    machines: int = 1
    rank: int = 0
    host: str = "127.0.0.1"
    port: int = 0


class Member(Part):
    """What a machine but the first says of itself (`machine-RANK.json`)."""

    token: str
    """Of this process alone: what an earlier one has left is not answered."""
    host: str
    gpus: int
    settings: dict[str, JsonValue]
    """Those of the training."""


class Call(Part):
    """What the first machine tells the others (`call.json`)."""

    state: Literal["train", "over"]
    members: dict[int, str]
    """By rank, the token of the process that is told."""
    host: str = ""
    port: int = 0
    job: str = ""
    reason: str = ""
    """Why it is over; empty where nothing had to be trained."""


class JoinResult(Part):
    """What a machine but the first did."""

    name: str
    machine_rank: int
    machines: int
    trained: bool
    """Whether there was anything to train."""


def meeting_place(workspace: Workspace, name: str) -> Path:
    """The folder in which the machines that train an expert meet."""
    return workspace.experts / f".{name}.machines"


class Crew:
    """The machines that train together, as the first of them sees them."""

    def __init__(self, folder: Path, settings: MachineSettings, console: Console) -> None:
        self.machines = settings.machines
        self._folder, self._settings, self._console = folder, settings, console
        self._members: dict[int, Member] = {}
        self._is_told = False
        with write_context(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("*.json"):  # of an earlier meeting; who waits comes again
                left.unlink(missing_ok=True)

    def start(self, job: Path, settings: TrainingSettings, gpus: int) -> Place:
        """Have all begin with a job of these settings; the first machine's own place.

        Raises `UserError` where one does not come in time, or was given other settings, or has another number of GPUs
        than this one's `gpus`.
        """
        self._gather(self._settings.join_timeout)
        for rank, member in self._members.items():
            require_same(settings, member.settings, rank)
            if member.gpus != gpus:
                raise UserError(
                    f"machine {rank} ({member.host}) has {member.gpus} GPUs and machine 0 has {gpus}: machines that "
                    "train together need equally many; hide some with CUDA_VISIBLE_DEVICES"
                )
        host, _, port = (self._settings.address or socket.gethostname()).partition(":")
        place = Place(self.machines, 0, host, int(port) if port else free_port())
        self._tell(Call(state="train", members=self._tokens(), host=place.host, port=place.port, job=str(job)))
        return place

    def dismiss(self, reason: str) -> None:
        """Tell the others that it is over; with a `reason` those that come soon, else all of them."""
        if not self._is_told:
            with suppress(UserError):
                self._gather(LEAVE_S if reason else self._settings.join_timeout)
            self._tell(Call(state="over", members=self._tokens(), reason=reason))
            until = time.monotonic() + LEAVE_S
            while time.monotonic() < until and any(self._file(rank).exists() for rank in self._members):
                time.sleep(LOOK_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _gather(self, seconds: float) -> None:
        until, is_said = time.monotonic() + min(seconds, self._settings.join_timeout), False
        while len(self._members) < self.machines - 1:
            self._look()
            missing = [rank for rank in range(1, self.machines) if rank not in self._members]
            if not missing:
                return
            which = ", ".join(map(str, missing))
            if time.monotonic() > until:
                raise UserError(
                    f"machine {which} of {self.machines} has not come within {self._settings.join_timeout:g} s: run "
                    f"the same command there with --machine-rank {missing[0]}; it must see "
                    f"{self._folder.parent.absolute()}"
                )
            if not is_said:
                self._console.print(f"Waiting for machine {which} of {self.machines}.")
                is_said = True
            time.sleep(LOOK_S)

    def _look(self) -> None:
        for rank in range(1, self.machines):
            if member := _read(Member, self._file(rank)):
                self._members[rank] = member

    def _tell(self, call: Call) -> None:
        _write(call, self._folder / "call.json")
        self._is_told = True

    def _tokens(self) -> dict[int, str]:
        return {rank: member.token for rank, member in self._members.items()}

    def _file(self, rank: int) -> Path:
        return self._folder / f"machine-{rank}.json"


@contextmanager
def crew_of(folder: Path, settings: MachineSettings, console: Console) -> Iterator[Crew | None]:
    """The crew of the first machine; None where it is alone. However the block ends, the others learn of it."""
    if settings.machines == 1:
        yield None
        return
    crew = Crew(folder, settings, console)
    try:
        yield crew
    except BaseException as error:
        crew.dismiss(str(error) if isinstance(error, UserError) else "it was stopped")
        raise
    crew.dismiss("")


def require_same(settings: TrainingSettings, theirs: Mapping[str, JsonValue], rank: int) -> None:
    """Raise `UserError` where the machine `rank` was given other settings than the first one."""
    mine = settings.model_dump(mode="json")
    if others := [name for name in mine if mine[name] != theirs.get(name)]:
        raise UserError(
            f"{others[0]} is {mine[others[0]]} on machine 0 and {theirs.get(others[0])} on machine {rank}: give all "
            "machines the same command but for --machine-rank"
        )


def join(
    folder: Path, settings: MachineSettings, training: TrainingSettings, gpus: int, console: Console
) -> tuple[Place, Path] | None:
    """Come to the meeting and wait for the first machine's call: this one's place and the job, None for no job.

    Raises `UserError` where the first machine does not call in time, or ended before it could.
    """
    rank = settings.machine_rank
    content = training.model_dump(mode="json")
    me = Member(token=secrets.token_hex(8), host=socket.gethostname(), gpus=gpus, settings=content)
    file = folder / f"machine-{rank}.json"
    until = time.monotonic() + settings.join_timeout
    console.print(f"Machine {rank} of {settings.machines} waits for machine 0.")
    while True:
        if _read(Member, file) != me and folder.parent.is_dir():
            try:
                _write(me, file)  # for the first time, or again: the first machine has begun since
            except UserError:
                if time.monotonic() > until:  # else it may have been the end of an earlier meeting
                    raise
        call = _read(Call, folder / "call.json")
        if call is not None and call.members.get(rank) == me.token:
            file.unlink(missing_ok=True)
            if call.reason:
                raise UserError(f"machine 0 has ended before the training began: {call.reason}")
            return None if call.state == "over" else (
                Place(settings.machines, rank, call.host, call.port), Path(call.job)
            )  # fmt: skip
        if time.monotonic() > until:
            file.unlink(missing_ok=True)
            raise UserError(
                f"machine 0 has not begun within {settings.join_timeout:g} s: run the same command there with "
                f"--machine-rank 0, on the same run, {folder.parent.parent.absolute()}"
            )
        time.sleep(LOOK_S)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _read(kind: type[P], path: Path) -> P | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(part: Part, path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_text(part.model_dump_json(), "utf-8")
