"""The sequel's discriminator: a model that was fine-tuned on real data responds to the same context; likeness decides.

Synth-Empathy (arXiv 2407.21669) takes the similarity of the two responses' embeddings, from 0 to 100, for a sample's
quality, and keeps those of 60 and more. Its encoder is another than ours, on which texts of nothing in common are near
0, so 60 would leave out most real responses too: of SmolLM2's replies to 32 bundled test contexts, the likeness to the
real response is 2 to 7 in the middle and 17 to 30 for the tenth that is most alike; to the responses to other contexts
it is -2 to 2 and 8 to 14. So 10 is the default: what nine in ten responses to other contexts do not reach.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import Ending
from efficient_empathy.modelling.generation.asking import Asker
from efficient_empathy.modelling.generation.job import find_model
from efficient_empathy.modelling.generation.replies import Journal, Replies
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.generation.target import template_for
from efficient_empathy.synthesis.embeddings import Embedder

FILE = "discriminator.jsonl"


class Discriminator:
    """A model in this process, asked greedily in the form that it was trained in; `least` is the likeness that passes.

    Its replies are kept in `synthesis/discriminator.jsonl`. Raises `UserError` for a model that there is not.
    """

    def __init__(self, workspace: Workspace, model: str, least: float, embedder: Embedder) -> None:
        settings = GenerationSettings(max_new_tokens=128)
        target, identity = find_model(workspace, model, settings)
        self.least, self._embedder = least, embedder
        self._template = template_for(target, None, workspace)
        content = json.dumps([identity, self._template.hash, settings.decoding], sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()[:32]
        self._asker = Asker(f"discriminator {target.name}", model, target.path, settings)
        self._journal = Journal(workspace.synthesis / FILE, key)
        self._replies: Replies = self._journal.read()

    def compare(self, samples: Sequence[Sample], console: Console) -> tuple[Ending, list[float | None]]:
        """The likeness of each response to the model's own, from 0 to 100; None where the model gave none."""
        ids = [sample.id for sample in samples]
        ending: Ending = "complete"
        done = {place for place, one in enumerate(ids) if one in self._replies.by_sample}
        if len(done) < len(ids):
            prompts = []
            for sample in samples:
                try:
                    prompts.append(self._template.messages(sample.row()["context"]))
                except UserError as error:
                    raise UserError(f"sample {sample.id}: {error}") from error
            with self._journal.open(anew=not self._journal.holds_ours):
                self._journal.holds_ours = True
                ending = self._asker.ask(ids, prompts, done, self._journal, self._replies, console)
        answers = [reply.text if (reply := self._replies.by_sample.get(one)) else None for one in ids]
        texts = [(sample.response, answer) for sample, answer in zip(samples, answers, strict=True) if answer]
        rows = self._embedder.texts([text for pair in texts for text in pair]) if texts else np.zeros((0, 1))
        cosines = iter(np.einsum("ij,ij->i", rows[::2], rows[1::2]).tolist())
        return ending, [100 * max(0.0, next(cosines)) if answer else None for answer in answers]
