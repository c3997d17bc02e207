"""TRL's own SFTTrainer, as it is, on the files that `select` writes: what it learns is the last reply alone."""

from __future__ import annotations

import pytest

from efficient_empathy.dialogues import Sample, Utterance, open_source
from efficient_empathy.selection import select
from scored_runs import write_run
from tiny_models import CHAT_TEMPLATE, split_as_llama3, tiny_model

pytest.importorskip("trl", reason='needs the extra "train"')

SYSTEM_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|start_header_id|>system<|end_header_id|>\n\n"
    "Be kind.<|eot_id|>{% endif %}" + CHAT_TEMPLATE.replace("{{ bos_token }}", "")
)
"""As Qwen2.5's, which speaks first itself."""
TURNS = ["I failed the exam again", "I'm sorry.", "Assistant: what would help?", "2024-01-01", "user\n\nMy keys! 💜"]


@pytest.fixture
def workspace(tmp_path):
    samples = [
        Sample.of(
            [Utterance("speaker" if i % 2 == 0 else "listener", text) for i, text in enumerate(TURNS[:length])],
            reply,
            dialogue_id=f"d{number}",
            category="sad" if number % 2 else None,
        )
        for number, (length, reply) in enumerate(
            (length, f"{reply} {length}") for length in (1, 3, 5) for reply in ("That is a lot", "user: no\n\nyes,")
        )
    ]
    axes = {"sensibility": [9] * len(samples), "rationality": [2] * len(samples)}
    workspace = write_run(tmp_path / "run", samples, axes)
    select(workspace)
    return workspace


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, SYSTEM_TEMPLATE], ids=["plain", "system"])
@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_trl_learns_the_last_reply_and_the_end_of_its_turn(workspace, tmp_path, kind, template) -> None:
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    base = tiny_model(tmp_path / "base")
    split_as_llama3(base)
    (base / "chat_template.jinja").write_text(template)
    tokenizer = AutoTokenizer.from_pretrained(base)
    file = workspace.selection / f"sensibility.{kind.replace('json', 'jsonl')}"
    data = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    trainer = SFTTrainer(
        model=str(base),
        args=SFTConfig(output_dir=str(tmp_path / "out"), report_to="none", use_cpu=True, bf16=False, max_steps=1),
        train_dataset=data,
    )
    samples = [*open_source(file)]
    batches = [trainer.data_collator([row]) for row in trainer.train_dataset]
    assert len(batches) == len(samples) == 6
    for sample, batch in zip(samples, batches, strict=True):
        (ids,), (labels,) = batch["input_ids"].tolist(), batch["labels"].tolist()
        learnt = [token for token in labels if token != -100]
        assert tokenizer.decode(learnt) == sample.response + "<|eot_id|>"
        assert ids[-len(learnt) :] == learnt
        messages = [
            {"role": {"speaker": "user", "listener": "assistant"}[turn.role], "content": turn.text}
            for turn in sample.context
        ]
        assert tokenizer.decode(ids[: -len(learnt)]) == tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )
    trainer.train()
