"""vLLM, where it is installed and has a GPU: the same prompts, token by token, through its own engine.

Written against vLLM's offline interface (`LLM.generate` with token prompts, `SamplingParams`, `LoRARequest`).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from efficient_empathy.modelling.generation.backends import Prompt, Reply
from efficient_empathy.modelling.generation.local import encode_within, prompt_seed, room_for
from efficient_empathy.modelling.generation.settings import GenerationSettings

CHUNK = 1024
"""Prompts that are handed over, and kept, together: vLLM batches them as it likes."""


def available() -> bool:
    """Whether vLLM can be imported and a GPU is there for it."""
    if importlib.util.find_spec("vllm") is None:
        return False
    import torch

    return torch.cuda.is_available()


class VllmGenerator:
    """One engine; an adapter is served on its base."""

    backend = "vllm"

    def __init__(self, path: Path | str, settings: GenerationSettings) -> None:
        from vllm import LLM

        from efficient_empathy.modelling.training.models import base_of, is_adapter, load_tokenizer, require_finite

        self.settings, self.name = settings, str(path)
        self.tokenizer = load_tokenizer(path, trust_remote_code=settings.trust_remote_code)
        base, self.request = path, None
        options: dict[str, Any] = {}
        if is_adapter(path):
            from vllm.lora.request import LoRARequest

            base, self.request = base_of(Path(path)), LoRARequest("adapter", 1, str(path))
            rank = json.loads((Path(path) / "adapter_config.json").read_text("utf-8"))["r"]
            options = {"enable_lora": True, "max_lora_rank": max(8, int(rank))}
        for part in (path, base):
            if isinstance(part, Path):
                require_finite(part)
        self.engine = LLM(
            model=str(base),
            tokenizer=str(path),
            dtype={"bf16": "bfloat16", "fp32": "float32"}.get(settings.precision, "auto"),
            trust_remote_code=settings.trust_remote_code,
            load_format="auto" if settings.allow_pickle else "safetensors",
            seed=settings.seed,
            **options,
        )
        self.window = int(self.engine.llm_engine.model_config.max_model_len)

    def generate(self, prompts: Sequence[Prompt], done: Collection[int] = ()) -> Iterator[list[Reply]]:
        """Replies in chunks of `CHUNK` prompts; see `Generator`."""
        ids = encode_within(prompts, self.tokenizer, self.name, room_for(self.window, self.settings.max_new_tokens))
        reason = f"the prompt is longer than the model's window of {self.window:,} tokens"
        for start in range(0, len(ids), CHUNK):
            chunk = [i for i in range(start, min(start + CHUNK, len(ids))) if i not in done]
            fits = [i for i in chunk if ids[i]]
            replies = [Reply(i, None, "error", reason=reason) for i in chunk if not ids[i]]
            outputs = self.engine.generate(
                [{"prompt_token_ids": ids[i]} for i in fits],
                [self._sampling(prompts[i]) for i in fits],
                lora_request=self.request,
                use_tqdm=False,
            )
            replies += [self._reply(i, output) for i, output in zip(fits, outputs, strict=True)]
            if replies:
                yield replies

    def _sampling(self, prompt: Prompt) -> Any:
        from vllm import SamplingParams

        settings = self.settings
        sampling = {"top_p": settings.top_p, "seed": prompt_seed(settings.seed, prompt) % 2**63}
        return SamplingParams(
            max_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            repetition_penalty=settings.repetition_penalty,
            stop_token_ids=[self.tokenizer.eos_token_id],
            **(sampling if settings.temperature else {}),
        )

    def _reply(self, i: int, output: Any) -> Reply:
        reply = output.outputs[0]
        finish = "length" if reply.finish_reason == "length" else "stop"
        return Reply(i, reply.text.strip(), finish, len(output.prompt_token_ids), len(reply.token_ids))  # type: ignore[arg-type]
