"""What other trainers read: checked against their documented rules, on the files that `select` writes."""

from __future__ import annotations

import importlib.util
import json
import py_compile
import re

import polars as pl
import pytest
import yaml

from efficient_empathy.selection import select
from efficient_empathy.selection.exports import RECIPES, messages, prompt_and_completion, write_subsets
from tiny_models import CHAT_TEMPLATE, tiny_tokenizer

PAIRS = [(8, 2), (4, 7), (4, 3), (6, 6), (9, 0)]
PAPER = {"r": 8, "alpha": 32, "dropout": 0.1, "rate": 1e-4, "batch": 16, "epochs": 1, "tokens": 512}


@pytest.fixture
def folder(run):
    workspace = run(PAIRS)
    select(workspace)
    return workspace.selection


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_llama_factory_keeps_every_row(folder):
    """Its sharegpt reader drops a row unless user and assistant alternate, user first, in pairs."""
    register = json.loads((folder / "dataset_info.json").read_text())
    assert list(register) == [f"efficient_empathy_{s}" for s in ("sensibility", "rationality", "discard")]
    for entry in register.values():
        assert entry["formatting"] == "sharegpt"
        tags = entry["tags"]
        rows = lines(folder / entry["file_name"])
        assert rows
        for row in rows:
            messages = row[entry["columns"]["messages"]]
            roles = [message[tags["role_tag"]] for message in messages]
            assert roles == [tags["user_tag"], tags["assistant_tag"]] * (len(messages) // 2)
            assert all(message[tags["content_tag"]] for message in messages)


def test_no_entry_and_no_recipe_names_an_empty_subset(run):
    workspace = run([(2, 9), (1, 8)])
    select(workspace)
    assert list(json.loads((workspace.selection / "dataset_info.json").read_text())) == [
        "efficient_empathy_rationality"
    ]
    for name in RECIPES:
        text = (workspace.selection / name).read_text("utf-8")
        assert "rationality" in text
        assert "sensibility" not in text


def test_llama_factory_trains_the_paper_s_expert_on_the_last_reply_alone(folder):
    recipe = yaml.safe_load((folder / "llamafactory.yaml").read_text())
    register = json.loads((folder / recipe["dataset_dir"] / "dataset_info.json").read_text())
    assert (folder / register[recipe["dataset"]]["file_name"]).exists()
    assert (recipe["mask_history"], recipe["train_on_prompt"]) == (True, False)
    result = {
        "r": recipe["lora_rank"],
        "alpha": recipe["lora_alpha"],
        "dropout": recipe["lora_dropout"],
        "rate": recipe["learning_rate"],
        "batch": recipe["per_device_train_batch_size"] * recipe["gradient_accumulation_steps"],
        "epochs": recipe["num_train_epochs"],
        "tokens": recipe["cutoff_len"],
    }
    assert result == PAPER


def test_axolotl_trains_the_paper_s_expert_on_the_last_reply_alone(folder):
    recipe = yaml.safe_load((folder / "axolotl.yaml").read_text())
    (data,) = recipe["datasets"]
    assert (data["type"], data["roles_to_train"]) == ("chat_template", [])
    for row in lines(folder / data["path"]):
        messages = row[data["field_messages"]]
        learnt = [message[data["message_field_training"]] for message in messages]
        assert learnt == [False] * (len(messages) - 1) + [True]
    result = {
        "r": recipe["lora_r"],
        "alpha": recipe["lora_alpha"],
        "dropout": recipe["lora_dropout"],
        "rate": recipe["learning_rate"],
        "batch": recipe["micro_batch_size"] * recipe["gradient_accumulation_steps"],
        "epochs": recipe["num_epochs"],
        "tokens": recipe["sequence_len"],
    }
    assert result == PAPER


@pytest.fixture
def unsloth(folder):
    path = folder / "train_unsloth.py"
    py_compile.compile(str(path), doraise=True)
    spec = importlib.util.spec_from_file_location("train_unsloth", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_unsloth_learns_the_last_reply_and_the_end_of_its_turn(folder, unsloth):
    assert (folder / f"{unsloth.SUBSET}.jsonl").exists()
    tokenizer = tiny_tokenizer()
    for row in lines(folder / f"{unsloth.SUBSET}.jsonl"):
        tokens = unsloth.tokenised(row, tokenizer)
        learnt = [i for i in tokens["labels"] if i != -100]
        assert tokenizer.decode(learnt) == row["messages"][-1]["content"] + "<|eot_id|>"
        asked = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=False)
        assert tokens["input_ids"] == asked + learnt
        assert tokens["labels"] == [-100] * len(asked) + learnt
        whole = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        assert tokenizer.decode(tokens["input_ids"]) == whole


def test_unsloth_learns_no_line_break_after_the_end_of_the_turn(folder, unsloth):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace("<|eot_id|>", "<|eot_id|>{{ '\\n' }}")
    for row in lines(folder / f"{unsloth.SUBSET}.jsonl"):
        tokens = unsloth.tokenised(row, tokenizer)
        learnt = [i for i in tokens["labels"] if i != -100]
        assert tokenizer.decode(learnt) == row["completion"][0]["content"] + "<|eot_id|>"


def test_unsloth_cuts_a_long_context_at_its_beginning(folder, unsloth):
    (row, *_) = lines(folder / f"{unsloth.SUBSET}.jsonl")
    row["prompt"][0]["content"] = "I lost my keys. " * 600
    tokens = unsloth.tokenised(row, tiny_tokenizer())
    assert len(tokens["input_ids"]) == len(tokens["labels"]) == len(tokens["attention_mask"]) == unsloth.MAX_TOKENS
    learnt = [i for i in tokens["labels"] if i != -100]
    assert tiny_tokenizer().decode(learnt) == row["messages"][-1]["content"] + "<|eot_id|>"


def test_a_new_selection_is_not_trained_on_what_the_old_one_left(run):
    """Axolotl takes the tokens that lie under the same name, LLaMA-Factory goes on with an adapter that is finished."""
    workspace = run(PAIRS)
    names = set()
    for alpha in (5, 7, 5):
        select(workspace, alpha=alpha)
        names.add(yaml.safe_load((workspace.selection / "axolotl.yaml").read_text())["dataset_prepared_path"])
    assert len(names) == 2
    recipe = yaml.safe_load((workspace.selection / "llamafactory.yaml").read_text())
    assert (recipe["overwrite_cache"], recipe["overwrite_output_dir"]) == (True, True)


@pytest.mark.parametrize("name", ["llamafactory.yaml", "axolotl.yaml"])
def test_a_recipe_says_as_often_as_it_is_true_what_to_change(folder, name):
    text = (folder / name).read_text("utf-8")
    head, body = text.split("\n\n", 1)
    recipe = yaml.safe_load(text)
    counts = {"once": 1, "twice": 2, "three times": 3, "four times": 4}
    (words,) = [words for words in counts if re.search(rf'its name for "sensibility", {words}\n', head)]
    assert body.count("sensibility") == counts[words]
    assert body.count("without a GPU") == (2 if "the two lines that say so" in head else 1)
    assert "Meta-Llama-3-8B-Instruct" in head
    assert "meta-llama/Meta-Llama-3-8B-Instruct" in recipe.values()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_begins_with_its_command_and_explains_every_key(folder, name):
    text = (folder / name).read_text("utf-8")
    assert re.match(rf'(# |""")cd selection && .*{re.escape(name)}\n', text)
    assert not re.search(r"/(home|work|tmp|root)/", text)
    if name.endswith(".yaml"):
        keys = [line for line in text.splitlines() if re.match(r"[ -]*\w+:", line)]
        assert len(keys) > 20
        assert [line for line in keys if " # " not in line] == []


def test_the_recipes_belong_to_what_is_written_and_checked(run):
    workspace = run(PAIRS)
    select(workspace)
    assert select(workspace).skipped
    (workspace.selection / "axolotl.yaml").unlink()
    assert not select(workspace).skipped
    assert (workspace.selection / "axolotl.yaml").exists()


AXES = ("sensibility", "rationality")

TRICKY = ['"quoted"\n\ttabbed', "nul \x00, \U0001f49c, \u2028", "", "ucla", "assistant"]


def rows():
    roles = ["speaker", "listener", "speaker", "listener", "speaker"]
    context = [{"role": role, "text": text} for role, text in zip(roles, TRICKY, strict=True)]
    return pl.DataFrame(
        {
            "sample_id": ["a", "b", "c", "d"],
            "dialogue_id": ["x", "x", "y", "z"],
            "context": [context, context[:1], context[:3], context[:1]],
            "response": ["", "unhappy", "a b", "never judged"],
            "category": ["sad", None, "joy", "joy"],
            "split": ["train"] * 4,
            "sensibility": [8.0, 7.5, 0.0, None],
            "rationality": [2.0, 1.0, 9.0, None],
            "subset": ["sensibility", "sensibility", "rationality", "unscored"],
        }
    )


def test_prompt_and_completion_are_the_messages_without_and_with_the_response_alone():
    result = rows().select(*prompt_and_completion(), messages())
    for prompt, completion, its_messages in result.iter_rows():
        plain = [{"role": message["role"], "content": message["content"]} for message in its_messages]
        assert (prompt, completion) == (plain[:-1], plain[-1:])


def test_messages_keep_every_text_and_end_with_the_response():
    result = rows().select(messages())["messages"].to_list()
    assert [m["role"] for m in result[0]] == ["user", "assistant"] * 3
    assert [m["content"] for m in result[0]] == [*TRICKY, ""]
    assert [m["train"] for m in result[0]] == [False] * 5 + [True]
    assert result[1] == [
        {"role": "user", "content": TRICKY[0], "train": False},
        {"role": "assistant", "content": "unhappy", "train": True},
    ]


def test_subsets_as_parquet_and_json_lines_in_order(tmp_path):
    write_subsets(rows().lazy(), tmp_path, ["sensibility", "rationality", "discard"], AXES)
    lines = [json.loads(line) for line in (tmp_path / "sensibility.jsonl").read_text("utf-8").split("\n") if line]
    assert [line["sample_id"] for line in lines] == ["a", "b"]
    about = ["sample_id", "dialogue_id", "category", "split"]
    assert list(lines[1]) == ["prompt", "completion", "messages", *about, *AXES]
    assert lines[1]["category"] == ""
    assert lines[0]["messages"][1]["content"] == TRICKY[1]
    table = pl.read_parquet(tmp_path / "sensibility.parquet")
    assert table["category"].to_list() == ["sad", None]
    assert table.with_columns(pl.col("category").fill_null("")).to_dicts() == lines
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [f"{s}.{kind}" for s in ("sensibility", "rationality") for kind in ("jsonl", "parquet")] + ["discard.parquet"]
    )


def test_an_empty_subset_has_a_table_with_the_same_columns_and_no_lines(tmp_path):
    write_subsets(rows().lazy(), tmp_path, ["sensibility", "discard"], AXES)
    assert not (tmp_path / "discard.jsonl").exists()
    empty, full = (pl.read_parquet(tmp_path / f"{s}.parquet") for s in ("discard", "sensibility"))
    assert (len(empty), empty.schema) == (0, full.schema)
