"""The judge `vllm`: a model of your own, served by vLLM for as long as it judges, on the machine that judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import Flag
from efficient_empathy.scoring.judges.contract import Judge, JudgeContext, Judgement
from efficient_empathy.scoring.judges.llm import LLMJudge
from efficient_empathy.scoring.judges.model_settings import ModelSettings

if TYPE_CHECKING:
    from efficient_empathy.llm.vllm.server import VllmServer


class VLLMSettings(ModelSettings):
    """A model in a folder or on the hub, and the GPUs that it takes."""

    FORMS: ClassVar[tuple[str, ...]] = (":MODEL",)
    NAME: ClassVar[str] = "vllm"
    WIRE: ClassVar[str] = "openai"

    revision: str | None = None
    """a commit, branch or tag of the model on the hub."""
    gpus: int = Field(default=1, ge=0)
    """GPUs of each engine, on one machine, over which it splits the weights; 0 for a vLLM that is built for
    processors."""
    gpu_memory: float = Field(default=0.9, gt=0, le=1)
    """the share of each of its GPUs' memory that an engine takes."""
    max_model_len: int | None = Field(default=None, ge=1)
    """tokens that prompt and reply may have together; by default all that the model was made for, which may take more
    memory than there is."""
    dtype: Annotated[Literal["auto", "bfloat16", "float16", "float32"], Flag("--dtype")] = "auto"
    """the type of weights and activations; auto, the model's own."""

    @classmethod
    def from_detail(cls, detail: str) -> dict[str, Any]:
        """`MODEL`."""
        return {"model": detail}

    @property
    def folder(self) -> Path | None:
        """Where the model is, if not on the hub."""
        path = Path(self.model or "").expanduser()
        return path.absolute() if self.model and path.is_dir() else None

    @property
    def gpus_each(self) -> int:
        """See `JudgeSettings`."""
        return self.gpus

    def resolve(self) -> Self:
        """With the whole path of a folder."""
        return self if self.folder is None else self.model_copy(update={"model": str(self.folder)})

    def elsewhere(self, concurrency: int) -> Self:
        """See `JudgeSettings`; each engine has a window of its own."""
        return self.resolve()

    def build(self, context: JudgeContext) -> Judge:
        """The judge, which starts vLLM with the first sample. Raises `UserError` for a folder that holds no model."""
        from efficient_empathy.llm import Endpoint
        from efficient_empathy.llm.prices import FREE, Prices
        from efficient_empathy.llm.vllm.server import VllmServer

        if not self.model:
            raise UserError("the judge vllm needs --model: a folder, or the name of a model on the hub (org/name)")
        name, identity = self._identity()
        server = VllmServer(str(self.folder or self.model), [*self._options(), "--served-model-name", name])
        endpoint = Endpoint(
            f"{server.url}/v1",
            name,
            api_key=server.key,
            extra_body=self.extra_body,
            concurrency=self.concurrency,
            timeout_s=self.timeout_s,
            prices=Prices({name: FREE}),
        )
        return VLLMJudge(server, LLMJudge(endpoint, context.rubric, self, identity))

    def _identity(self) -> tuple[str, dict[str, JsonValue]]:
        """What the model is called, and what of it would change an answer."""
        from efficient_empathy.foundation.model_folder import model_hash

        path, model = self.folder, str(self.model)
        more: dict[str, JsonValue] = {"dtype": self.dtype} if self.dtype != "auto" else {}
        if path is None:
            if model.count("/") != 1 or model.startswith((".", "~", "/")):
                raise UserError(
                    f"there is no folder {model}: name a model's folder, or the name of a model on the hub (org/name)"
                )
            return model, {"model": model, **({"revision": self.revision} if self.revision else {}), **more}
        if not (path / "config.json").exists():
            raise UserError(f"{path} holds no model (config.json is missing): name the folder of a whole model")
        if self.revision is not None:
            raise UserError(f"a revision is for a model on the hub, and {path} is a folder: leave --revision out")
        return path.name, {"model": path.name, "weights": model_hash(path), **more}

    def _options(self) -> list[str]:
        options = {
            "--revision": self.revision,
            "--tensor-parallel-size": max(1, self.gpus),
            "--distributed-executor-backend": "mp" if self.gpus > 1 else None,
            "--gpu-memory-utilization": self.gpu_memory if self.gpus else None,
            "--max-model-len": self.max_model_len,
            "--max-num-seqs": self.concurrency,
            "--dtype": self.dtype,
            "--load-format": "safetensors",
        }
        return [word for key, value in options.items() if value is not None for word in (key, str(value))]


class VLLMJudge:
    """Asks a server that is started for it, as any endpoint is asked."""

    batch_size = 1

    def __init__(self, server: VllmServer, judge: LLMJudge) -> None:
        self._server, self._judge = server, judge
        self.name, self.spec, self.concurrency = judge.name, judge.spec, judge.concurrency
        self.endpoint, self.request = judge.endpoint, judge.request

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement per sample, in order. Raises `UserError` where vLLM does not start, `ServerLost` if it ends."""
        await self._server.ready(self.endpoint.notify_once)
        try:
            judgements = await self._judge.judge(samples)
        except UserError:
            await self._server.check()
            raise
        if any(one.state == "api_error" for one in judgements):
            await self._server.check()
        return judgements

    def drain(self) -> None:
        """Let nothing new go out; what is in flight is waited for."""
        self._server.drain()
        self._judge.drain()

    async def close(self) -> None:
        """End the server."""
        await self._judge.close()
        await self._server.close()
