"""The generating model at work: requests go to it once, and its replies are kept as they came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from efficient_empathy.foundation.console import Console
from efficient_empathy.llm.runner import Ending
from efficient_empathy.modelling.generation.asking import Asker
from efficient_empathy.modelling.generation.replies import Journal, Replies
from efficient_empathy.synthesis.candidate import Candidate, made_sample
from efficient_empathy.synthesis.generators import Request, SampleGenerator, UnreadableReplyError


def request_id(request: Request, generator: SampleGenerator) -> str:
    """What a reply is kept under: a hash of the cell, of what is asked, and of the draw."""
    content = [request.generator, request.cell, request.draw, generator.messages(request)]
    text = json.dumps(content, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class ReplyStore:
    """Asks what has no reply yet, and keeps each reply in a journal that stays: nothing is asked for twice.

    `key` is what the replies depend on besides the requests: the model and its decoding. Replies to another key are
    given up, dollars are not; `anew` gives up all replies.
    """

    def __init__(self, path: Path, key: str, asker: Asker, *, anew: bool = False) -> None:
        self._journal, self._asker = Journal(path, key), asker
        self.replies: Replies = self._journal.read()
        if anew:
            self.replies, self._journal.holds_ours = Replies(cost_usd=self.replies.cost_usd), False

    def ask(self, ids: Sequence[str], requests: Sequence[Request], generators: dict[str, SampleGenerator],
            console: Console) -> Ending:  # fmt: skip
        """Have all of these answered; a failed call is tried again."""
        done = {
            place
            for place, one in enumerate(ids)
            if (reply := self.replies.by_sample.get(one)) is not None and reply.finish_reason != "error"
        }
        if len(done) == len(ids):
            return "complete"
        prompts = [generators[request.generator].messages(request) for request in requests]
        with self._journal.open(anew=not self._journal.holds_ours):
            self._journal.holds_ours = True
            if self.replies.cost_usd:
                self._journal.commit_usd(self.replies.cost_usd)
            return self._asker.ask(ids, prompts, done, self._journal, self.replies, console)

    def candidate(self, request: Request, request_id: str, generator: SampleGenerator, plan: str) -> Candidate:
        """What came of a request of this plan."""
        reply, seed = self.replies.by_sample.get(request_id), request.seed
        candidate = Candidate(
            request.generator, seed, None, category=request.category, subset=request.subset, request=request_id,
            plan=plan,
        )  # fmt: skip
        if reply is None or reply.text is None:
            fault = f"the call failed: {reply.reason}" if reply is not None and reply.reason else "no reply"
            return replace(candidate, fault=fault)
        candidate = replace(candidate, reply=reply.text)
        try:
            context, response = generator.read(request, reply.text)
        except UnreadableReplyError as error:
            cut = ", cut off at --max-new-tokens" if reply.finish_reason == "length" else ""
            return replace(candidate, fault=f"{error}{cut}")
        sample = made_sample(request.generator, request_id, seed, request.category, context, response)
        return replace(candidate, sample=sample)
