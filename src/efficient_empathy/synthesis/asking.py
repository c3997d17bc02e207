"""The generating models at work: requests go to them once, and their replies are kept as they came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from efficient_empathy.dialogues import Utterance
from efficient_empathy.dialogues.sample import Role
from efficient_empathy.foundation.console import Console
from efficient_empathy.llm.prompting import Message, PromptTemplate
from efficient_empathy.llm.runner import Ending
from efficient_empathy.modelling.generation.asking import Asker
from efficient_empathy.modelling.generation.replies import Journal, Replies
from efficient_empathy.synthesis.candidate import Candidate, made_sample
from efficient_empathy.synthesis.generators import Request, RolePlay, SampleGenerator, UnreadableReplyError
from efficient_empathy.synthesis.generators.reading import read_response

CUT = "cut off at --max-new-tokens"


def request_id(request: Request, generator: SampleGenerator) -> str:
    """What a reply is kept under: a hash of the cell, of what is asked, and of the draw."""
    content = [request.generator, request.cell, request.draw, generator.messages(request)]
    text = json.dumps(content, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class Cast:
    """Who is asked: `model` for all but the speaker's lines of a role play, which go to `speaker`; `template` is the
    form in which the listener of one is asked."""

    model: Asker
    speaker: Asker
    template: PromptTemplate


class ReplyStore:
    """Asks what has no reply yet, and keeps each reply in a journal that stays: nothing is asked for twice.

    `key` is what the replies depend on besides the requests: the models and their decoding. Replies to another key are
    given up, dollars are not; `anew` gives up all replies. The lines of a role play are kept one by one.
    """

    def __init__(self, path: Path, key: str, cast: Cast, *, anew: bool = False) -> None:
        self._journal, self._cast = Journal(path, key), cast
        self.replies: Replies = self._journal.read()
        if anew:
            self.replies, self._journal.holds_ours = Replies(cost_usd=self.replies.cost_usd), False

    def ask(self, requests: Mapping[str, Request], generators: Mapping[str, SampleGenerator], console: Console
            ) -> Ending:  # fmt: skip
        """Have all of these answered, by what they are kept under; a failed call is tried again."""
        plays, prompts = dict[str, tuple[Request, RolePlay]](), dict[str, list[Message]]()
        for name, request in requests.items():
            generator = generators[request.generator]
            if isinstance(generator, RolePlay):
                plays[name] = request, generator
            else:
                prompts[name] = generator.messages(request)
        ending = self._ask(prompts, self._cast.model, console)
        for number in range(max((request.lines for request, _ in plays.values()), default=0)):
            if ending != "complete":
                break
            asker = self._cast.model if number % 2 else self._cast.speaker
            ending = self._ask(dict(self._next_lines(plays, number)), asker, console)
        return ending

    def _next_lines(
        self, plays: Mapping[str, tuple[Request, RolePlay]], number: int
    ) -> Iterator[tuple[str, list[Message]]]:
        """What the plays ask that have come to that line, and have more."""
        for name, (request, generator) in plays.items():
            said, _ = self._said(name, number)
            if len(said) == number < request.lines:
                listening = [{"role": turn.role, "text": turn.text} for turn in said]
                messages = self._cast.template.messages(listening) if number % 2 else generator.speaker(request, said)
                yield _line_id(name, number), messages

    def _ask(self, prompts: Mapping[str, list[Message]], asker: Asker, console: Console) -> Ending:
        ids = list(prompts)
        done = {place for place, one in enumerate(ids) if self._is_there(one)}
        if len(done) == len(ids):
            return "complete"
        with self._journal.open(anew=not self._journal.holds_ours):
            self._journal.holds_ours = True
            if self.replies.cost_usd:
                self._journal.commit_usd(self.replies.cost_usd)
            return asker.ask(ids, list(prompts.values()), done, self._journal, self.replies, console)

    def _is_there(self, name: str) -> bool:
        reply = self.replies.by_sample.get(name)
        return reply is not None and reply.finish_reason != "error"

    def _said(self, name: str, most: int) -> tuple[list[Utterance], str]:
        """The lines of a play, at most so many, and what is wrong with the one after them, if there is one."""
        said: list[Utterance] = []
        for number in range(most):
            reply = self.replies.by_sample.get(_line_id(name, number))
            role: Role = "listener" if number % 2 else "speaker"
            if reply is None:
                return said, ""
            try:
                line = Utterance(role, " ".join(read_response(reply.text or "", role).split()))
            except UnreadableReplyError as error:
                return said, f"line {number + 1}, the {role}'s: {reply.reason or error}"
            if reply.finish_reason == "length":
                return said, f"line {number + 1}, the {role}'s: {CUT}"
            said.append(line)
        return said, ""

    def is_answered(self, name: str, request: Request, generator: SampleGenerator) -> bool:
        """Whether all that it asks has a reply, be it of use or not."""
        if isinstance(generator, RolePlay):
            said, fault = self._said(name, request.lines)
            return len(said) == request.lines or bool(fault)
        return name in self.replies.by_sample

    def candidate(self, request: Request, name: str, generator: SampleGenerator, plan: str) -> Candidate:
        """What came of a request of this plan."""
        seed = request.seed
        candidate = Candidate(
            request.generator, seed, None, category=request.category, subset=request.subset, request=name, plan=plan
        )
        text, fault = self._text(name, request, generator)
        candidate = replace(candidate, reply=text, fault=fault)
        if text is None or fault:
            return candidate
        try:
            context, response = generator.read(request, text)
        except UnreadableReplyError as error:
            return replace(candidate, fault=f"{error}")
        sample = made_sample(request.generator, name, seed, request.category, context, response)
        return replace(candidate, sample=sample)

    def _text(self, name: str, request: Request, generator: SampleGenerator) -> tuple[str | None, str]:
        """The reply as it came, or the lines of a play, and what is wrong with it. A sentence that is cut off is no
        response, be it readable or not."""
        if isinstance(generator, RolePlay):
            said, fault = self._said(name, request.lines)
            return "\n".join(f"{turn.role.capitalize()}: {turn.text}" for turn in said) or None, fault
        reply = self.replies.by_sample.get(name)
        if reply is None or reply.text is None:
            return None, f"the call failed: {reply.reason}" if reply is not None and reply.reason else "no reply"
        return reply.text, CUT if reply.finish_reason == "length" else ""


def _line_id(name: str, number: int) -> str:
    return f"{name}.{number}"
