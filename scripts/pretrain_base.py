"""Train the tiny base model from scratch on conversations and write it, with its card, as a folder that serves.

    python scripts/pretrain_base.py ed/train.csv.gz ed/valid.csv.gz esconv.jsonl.gz -o src/efficient_empathy/assets/base

A Llama of 4 M parameters with a byte-level BPE of its own and a Llama-3-style chat template. Every conversation is one
sequence (long ones are cut between turns); those of a split `valid` are only measured on. The loss is on all tokens, so
that it knows speakers as well as listeners.
Hidden matrices are optimised by Muon (Jordan et al. 2024), embeddings and norms by AdamW.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from efficient_empathy.dialogues import Sample, open_source
from efficient_empathy.dialogues.settings import ReadingSettings

BOS, START, END, EOT, PAD = (
    "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|pad|>",
)  # fmt: skip
TEMPLATE = (
    "{{- bos_token }}{% for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{- message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 splits text before BPE."""


@dataclass(frozen=True)
class Settings:
    """What is trained and how; sizes in tokens."""

    vocabulary: int = 4096
    hidden: int = 256
    feed_forward: int = 704
    layers: int = 4
    heads: int = 4
    key_value_heads: int = 2
    window: int = 256
    batch_tokens: int = 6144
    epochs: float = 4.0
    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    weight_decay: float = 0.1
    dropout: float = 0.05
    warmup: int = 60
    seed: int = 0


Turn = tuple[str, str]


def conversations(source: Path) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Every conversation once, as (role, text) turns that alternate: those to train on, those of split `valid`."""
    longest: dict[str, Sample] = {}
    for sample in open_source(source, ReadingSettings(on_bad_row="skip")):
        if sample.dialogue_id not in longest or sample.turn > longest[sample.dialogue_id].turn:
            longest[sample.dialogue_id] = sample
    parts: tuple[list[list[Turn]], list[list[Turn]]] = ([], [])
    for sample in longest.values():
        parts[sample.split == "valid"].append(list(_turns(sample)))
    return parts


def _turns(sample: Sample) -> Iterator[Turn]:
    role, texts = "", [""]
    said = [(u.role, u.text) for u in sample.context] + [("listener", sample.response)]
    for speaker, text in said:
        now = "user" if speaker == "speaker" else "assistant"
        if now == role:
            texts.append(text)
            continue
        if role:
            yield role, " ".join(texts)
        role, texts = now, [text]
    yield role, " ".join(texts)


def make_tokenizer(talks: Sequence[Sequence[Turn]], size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE fitted on what is said, and on the names of the roles."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[BOS, START, END, EOT, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    heads = ["user", "assistant", "system", "\n\n"]
    tokenizer.train_from_iterator((part for talk in talks for _, text in talk for part in (text, *heads)), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOT, pad_token=PAD, model_max_length=1024
    )
    fast.chat_template = TEMPLATE
    return fast


def windows(
    talk: Sequence[Turn], tokenizer: PreTrainedTokenizerFast, window: int
) -> Iterator[tuple[list[int], list[int]]]:
    """A conversation as (ids, 1 where a response stands), each of at most `window` tokens."""
    ids, response = [tokenizer.bos_token_id], [0]
    for role, text in talk:
        head = tokenizer(f"{START}{role}{END}\n\n", add_special_tokens=False)["input_ids"]
        body = tokenizer(text.strip() + EOT, add_special_tokens=False)["input_ids"][: window - len(head) - 1]
        if len(ids) + len(head) + len(body) > window or (role == "user" and len(ids) > window * 0.75):
            yield ids, response
            ids, response = [tokenizer.bos_token_id], [0]
        ids = ids + head + body
        response = response + [0] * len(head) + [int(role == "assistant")] * len(body)
    if len(ids) > 1:
        yield ids, response


def batches(rows: list[tuple[list[int], list[int]]], tokens: int, rng: random.Random) -> list[list[int]]:
    """Row numbers in batches of about `tokens` and of like length, in random order."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + rng.random() * 12)
    found: list[list[int]] = [[]]
    for i in order:
        if found[-1] and (len(found[-1]) + 1) * len(rows[i][0]) > tokens:
            found.append([])
        found[-1].append(i)
    rng.shuffle(found)
    return found


def tensors(rows: list[tuple[list[int], list[int]]], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids, labels (−100 at padding) and the mask of response tokens, right-padded."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([r + [pad] * (width - len(r)) for r, _ in rows])
    labels = torch.tensor([r + [-100] * (width - len(r)) for r, _ in rows])
    mask = torch.tensor([m + [0] * (width - len(m)) for _, m in rows], dtype=torch.bool)
    return ids, labels, mask


def token_losses(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Nats for each next token, 0 at padding; [rows, width − 1]. Causal: right padding needs no mask."""
    with torch.autocast(ids.device.type, torch.bfloat16):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    flat = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none"
    )
    return flat.view(ids.shape[0], -1)


@torch.inference_mode()
def evaluate(
    model: LlamaForCausalLM, rows: list[tuple[list[int], list[int]]], pad: int, device: str
) -> dict[str, float]:
    """Mean nats per token, of all tokens and of the responses'."""
    model.eval()
    sums = {"all": 0.0, "response": 0.0}
    counts = {"all": 0, "response": 0}
    for batch in batches(rows, 16384, random.Random(0)):
        ids, labels, mask = (t.to(device) for t in tensors([rows[i] for i in batch], pad))
        losses = token_losses(model, ids, labels)
        for name, where in (("all", labels[:, 1:] != -100), ("response", mask[:, 1:])):
            sums[name] += losses[where].sum().item()
            counts[name] += int(where.sum())
    model.train()
    return {name: round(sums[name] / counts[name], 4) for name in sums}


def add_dropout(model: LlamaForCausalLM, rate: float) -> None:
    """Dropout after the embedding and each block, while training; Llama has none of its own."""

    def dropped(module: torch.nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(output, rate, module.training)

    model.model.embed_tokens.register_forward_hook(dropped)
    for layer in model.model.layers:
        layer.mlp.register_forward_hook(dropped)
        layer.self_attn.o_proj.register_forward_hook(dropped)


def train(
    model: LlamaForCausalLM,
    rows: list[tuple[list[int], list[int]]],
    held_out: dict[str, list[tuple[list[int], list[int]]]],
    settings: Settings,
    pad: int,
    device: str,
) -> dict[str, object]:
    """Train in place; returns the history of losses."""
    rng = random.Random(settings.seed)
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimisers = [
        torch.optim.Muon(hidden, lr=settings.muon_lr, weight_decay=settings.weight_decay, momentum=0.95),
        torch.optim.AdamW(others, lr=settings.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    per_epoch = len(batches(rows, settings.batch_tokens, random.Random(0)))
    steps = math.ceil(per_epoch * settings.epochs)
    schedule = lambda step: min((step + 1) / settings.warmup, (steps - step) / steps)  # noqa: E731
    schedulers = [torch.optim.lr_scheduler.LambdaLR(o, schedule) for o in optimisers]
    add_dropout(model, settings.dropout)
    model.train()
    history: list[dict[str, object]] = []
    began, seen, running, step = time.perf_counter(), 0, 0.0, 0
    while step < steps:
        for batch in batches(rows, settings.batch_tokens, rng):
            ids, labels, _ = (t.to(device) for t in tensors([rows[i] for i in batch], pad))
            loss = token_losses(model, ids, labels).sum() / (labels[:, 1:] != -100).sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimiser, scheduler in zip(optimisers, schedulers, strict=True):
                optimiser.step()
                scheduler.step()
                optimiser.zero_grad()
            step, seen, running = step + 1, seen + ids.numel(), running + loss.item()
            if step % 25 == 0 or step == steps:
                rate = seen / (time.perf_counter() - began)
                print(f"step {step}/{steps}  loss {running / 25:.3f}  {rate:,.0f} tokens/s", flush=True)
                history.append({"step": step, "loss": round(running / 25, 4)})
                running = 0.0
            if step % per_epoch == 0 or step == steps:
                found = {name: evaluate(model, part, pad, device) for name, part in held_out.items()}
                print(f"step {step}  held out {found}", flush=True)
                history[-1]["held_out"] = found
            if step == steps:
                break
    return {"history": history, "seconds": round(time.perf_counter() - began), "tokens": seen, "device": device}


@torch.inference_mode()
def write_card(out: Path, template: Path) -> None:
    """Write the card from `figures.json` into `template`, with samples from the model that lies beside it."""
    from efficient_empathy.recipe import DIALOGUES

    figures = json.loads((out / "figures.json").read_text("utf-8"))
    model, tokenizer = LlamaForCausalLM.from_pretrained(out).float(), PreTrainedTokenizerFast.from_pretrained(out)
    torch.manual_seed(0)
    samples = []
    for talk in [json.loads(line) for line in (DIALOGUES / "test.jsonl").open(encoding="utf-8")][:60:12]:
        said = talk["messages"][0]["content"]
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": said}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        ids = model.generate(**prompt, max_new_tokens=48, do_sample=True, temperature=0.8, top_k=0)[
            0, prompt["input_ids"].shape[1] :
        ]
        samples.append(f"> {said}\n\n{tokenizer.decode(ids, skip_special_tokens=True).strip()}\n")
    held_out = figures["history"][-1]["held_out"]
    losses = [
        f"| {name} | {loss['all']:.3f} | {loss['response']:.3f} | {math.exp(loss['response']):.1f} |"
        for name, loss in held_out.items()
    ]
    card = template.read_text("utf-8").format(
        **figures, **figures["settings"], minutes=round(figures["seconds"] / 60), losses="\n".join(losses),
        samples="\n".join(samples), megabytes=round((out / "model.safetensors").stat().st_size / 1e6, 1),
    )  # fmt: skip
    (out / "README.md").write_text(card, "utf-8")


def main() -> None:
    """Read, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("sources", type=Path, nargs="+", help="conversations, in any format that is read")
    parser.add_argument("--card", type=Path, default=Path(__file__).with_name("base_card.md"), help="its template")
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = vars(parser.parse_args())
    out, sources, template = options.pop("output"), options.pop("sources"), options.pop("card")
    settings = Settings(**options)
    torch.manual_seed(settings.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    parts = {f"{path.absolute().parent.name}/{path.name.split('.')[0]}": conversations(path) for path in sources}
    talks = [talk for fit, _ in parts.values() for talk in fit]
    tokenizer = make_tokenizer(talks, settings.vocabulary)
    rows = [row for talk in talks for row in windows(talk, tokenizer, settings.window)]
    held_out = {
        name: [row for talk in valid for row in windows(talk, tokenizer, settings.window)]
        for name, (_, valid) in parts.items()
        if valid
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=settings.hidden, intermediate_size=settings.feed_forward,
        num_hidden_layers=settings.layers, num_attention_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager" if device == "cpu" else "sdpa",
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(device)
    size = sum(p.numel() for p in model.parameters())
    print(
        f"{len(talks):,} conversations, {len(rows):,} rows, {sum(len(r) for r, _ in rows):,} tokens; "
        f"{size:,} parameters"
    )
    figures = train(model, rows, held_out, settings, tokenizer.pad_token_id, device)
    figures |= {"settings": asdict(settings), "conversations": len(talks), "parameters": size,
                "tokens_an_epoch": sum(len(r) for r, _ in rows)}  # fmt: skip
    model = model.to("cpu", torch.bfloat16)
    model.generation_config.update(eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
                                   pad_token_id=tokenizer.pad_token_id)  # fmt: skip
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    write_card(out, template)


if __name__ == "__main__":
    main()
