"""What a stranger's recipe may decide, and what takes a permission."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

import efficient_empathy as ee
from efficient_empathy.cli import app
from efficient_empathy.foundation import permissions
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.permissions import allow
from efficient_empathy.foundation.settings import fields_of, parts, section
from efficient_empathy.recipe import Recipe, bundled_recipes
from misbehaving_server import MisbehavingServer
from misbehaviours import ok
from samples import FORM

STRANGERS = "https://evil.example/v1"


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, nothing_allowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "diary.csv").write_text("context,response\nmy pin is 1234,oh\n", "utf-8")
    (tmp_path / "downloads").mkdir()
    monkeypatch.chdir(tmp_path / "home")


def recipe(tmp_path: Path, **content: Any) -> Path:
    path = tmp_path / "downloads" / "theirs.yaml"
    path.write_text(yaml.safe_dump({"name": "theirs", **content}), "utf-8")
    return path


def refusal(path: Path, *, run: Path | None = None, **changes: str) -> str:
    with pytest.raises(UserError) as raised:
        Recipe.load(path, {key.replace("__", "."): value for key, value in changes.items()}, run=run)
    assert f"the recipe {path} asks to " in str(raised.value)
    return str(raised.value).partition("if you want that, add ")[2]


JUDGES = {
    "another variable": ({"api_key_env": "AWS_SECRET"}, "key:AWS_SECRET@api.openai.com"),
    "another host": ({"base_url": STRANGERS}, "host:evil.example"),
    "both": ({"base_url": STRANGERS, "api_key_env": "AWS_SECRET"}, "key:AWS_SECRET@evil.example"),
    "a header": ({"headers": {"x-key": "AWS_SECRET"}}, "key:AWS_SECRET@api.openai.com"),
    "a variable for this machine": (
        {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "AWS_SECRET"}, "key:AWS_SECRET@127.0.0.1:9"
    ),
    "no https": ({"base_url": "http://api.openai.com/v1"}, "host:api.openai.com:80"),
    "a user that looks like a host": ({"base_url": "https://api.openai.com@evil.example"}, "host:evil.example"),
}  # fmt: skip


@pytest.mark.parametrize("case", JUDGES)
@pytest.mark.parametrize("place", ["score", "cascade", "refresh", "evaluate"])
def test_no_section_sends_a_variable_or_dialogues_where_its_author_likes(case: str, place: str, tmp_path: Path) -> None:
    options, flag = JUDGES[case]
    judge = {"model": "m", **options}
    content: dict[str, Any] = {
        "score": {"score": {"judge": "openai", **judge}},
        "cascade": {"cascade": {"expert": "openai", **judge}},
        "refresh": {"refresh": {"judge": "openai", **judge}},
        "evaluate": {
            "select": {}, "train": {}, "generate": {}, "evaluate": {"metrics": ["quality"], "judge": judge},
        },
    }[place]  # fmt: skip
    path = recipe(tmp_path, **content)
    assert refusal(path) == f"--allow {flag}"
    with allow([flag]):
        Recipe.load(path)


def test_a_host_in_the_judges_own_word_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    path = recipe(tmp_path, score={"judge": ["distilled", f"openai:m@{STRANGERS}"]})
    assert refusal(path) == "--allow key:OPENAI_API_KEY@evil.example"
    assert refusal(path, score__base_url="http://localhost:8000/v1"), "the judge's own word goes before it"
    Recipe.load(path, {"score.judge": f"openai:m@{STRANGERS}"})


def test_a_host_in_a_step_of_a_cascade_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    steps = ["distilled", f"openai:m@{STRANGERS}"]
    assert refusal(recipe(tmp_path, cascade={"step": steps, "expert": "openai:gpt-4o"})) == (
        "--allow key:OPENAI_API_KEY@evil.example"
    )


def test_what_a_vendor_gets_by_default_takes_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    plain = {"judge": "openai", "model": "gpt-4o-mini"}
    Recipe.load(recipe(tmp_path, score=plain))
    Recipe.load(recipe(tmp_path, score={**plain, "base_url": "https://api.openai.com/v1"}))
    Recipe.load(recipe(tmp_path, score={**plain, "api_key_env": "OPENAI_API_KEY"}))
    Recipe.load(recipe(tmp_path, score={"judge": "anthropic:claude"}))
    assert refusal(recipe(tmp_path, score={**plain, "base_url": "http://localhost:8000/v1"})) == (
        "--allow key:OPENAI_API_KEY@localhost:8000"
    )
    monkeypatch.delenv("OPENAI_API_KEY")
    Recipe.load(recipe(tmp_path, score={**plain, "base_url": "http://localhost:8000/v1"}))
    monkeypatch.setenv("OPENAI_BASE_URL", "https://my.example/v1")
    Recipe.load(recipe(tmp_path, score=plain))
    Recipe.load(recipe(tmp_path, score={**plain, "base_url": "https://my.example/v1"}))


def test_what_the_user_says_on_the_command_line_is_theirs_and_nothing_beside_it(tmp_path: Path) -> None:
    path = recipe(tmp_path, score={"judge": "openai", "model": "m", "base_url": STRANGERS, "api_key_env": "AWS_SECRET"})
    both = {"score.base_url": "http://localhost:1/v1", "score.api_key_env": "MINE"}
    assert refusal(path, score__base_url="http://localhost:1/v1") == "--allow key:AWS_SECRET@localhost:1"
    assert refusal(path, score__api_key_env="MINE") == "--allow key:MINE@evil.example"
    Recipe.load(path, both)
    Recipe.load(path, {"score": {"judge": "openai", "model": "m", "base_url": STRANGERS}})


def test_a_cap_of_the_users_does_not_go_by_prices_of_the_recipes(tmp_path: Path) -> None:
    (tmp_path / "downloads" / "free.yaml").write_text("m: {input: 0, output: 0}\n", "utf-8")
    prices = tmp_path / "downloads" / "free.yaml"
    path = recipe(tmp_path, score={"judge": "openai", "model": "m", "prices": str(prices)})
    Recipe.load(path)
    with pytest.raises(UserError, match=r"max_cost would go by .*free.yaml, whose prices are not yours"):
        Recipe.load(path, {"score.max_cost": "1"})
    Recipe.load(path, {"score.max_cost": "1", "score.prices": str(prices)})


PATHS: dict[str, dict[str, Any]] = {
    "source": {"data": {"source": "@"}},
    "hub folder": {"data": {"source": "hub:@"}},
    "rubric": {"score": {"rubric": "@"}},
    "judge": {"score": {"judge": "distilled:@"}},
    "judge's option": {"score": {"judge": "distilled", "folder": "@"}},
    "vllm's model": {"score": {"judge": "vllm:@"}},
    "vllm's model as an option": {"score": {"judge": "vllm", "model": "@"}},
    "one of two judges": {"score": {"judge": ["distilled", "replay:@"]}},
    "prices": {"score": {"judge": "openai", "prices": "@"}},
    "cascade": {"cascade": {"rubric": "@"}},
    "refresh": {"refresh": {"policy": "@"}},
    "policy": {"select": {"policy": "@"}},
    "one of two policies": {"select": {}, "sweep": {"policy": ["paper", "@"]}},
    "metric": {"select": {}, "sweep": {"epitome": "@"}},
    "tune": {"select": {}, "tune": {"target": "balance", "policy": "@"}},
    "base": {"select": {}, "train": {"base": "@"}},
    "template": {"select": {}, "train": {"template": "@"}},
    "models": {"select": {}, "train": {}, "generate": {"models": ["base", "@"]}},
    "encoder": {"select": {}, "train": {}, "generate": {}, "evaluate": {"bertscore_model": "@"}},
    "encoder's layer": {"select": {}, "train": {}, "generate": {}, "evaluate": {"bertscore_model": "@@9"}},
    "judge's rubric": {"select": {}, "train": {}, "generate": {}, "evaluate": {"judge": {"rubric": "@"}}},
}


def filled(content: Any, path: str) -> Any:
    if isinstance(content, str):
        return content.replace("@", path, 1)
    if isinstance(content, dict):
        return {key: filled(value, path) for key, value in content.items()}
    return [filled(one, path) for one in content] if isinstance(content, list) else content


@pytest.mark.parametrize("case", PATHS)
@pytest.mark.parametrize("form", ["absolute", "relative", "home", "dots", "link", "hidden"])
def test_no_path_leads_out_of_the_recipes_folder(
    case: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    diary = tmp_path / "home" / "diary.csv"
    (tmp_path / "downloads" / "link.csv").symlink_to(diary)
    (tmp_path / "downloads" / ".ssh").mkdir()
    (tmp_path / "downloads" / ".ssh" / "key").write_text("x", "utf-8")
    text = {
        "absolute": str(diary), "relative": "diary.csv", "home": "~/diary.csv", "dots": "../home/./diary.csv",
        "link": str(tmp_path / "downloads" / "link.csv"), "hidden": str(tmp_path / "downloads" / ".ssh" / "key"),
    }[form]  # fmt: skip
    target = tmp_path / "downloads" / ".ssh" / "key" if form == "hidden" else diary
    assert refusal(recipe(tmp_path, **filled(PATHS[case], text))) == f"--allow read:{target}"


def test_a_folder_in_the_recipes_own_has_no_links_that_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "downloads" / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text("context,response\na,b\n", "utf-8")
    (folder / "inside.csv").symlink_to(folder / "a.csv")
    path = recipe(tmp_path, data={"source": str(folder)})
    Recipe.load(path)
    (folder / "sub" / "out.csv").symlink_to(tmp_path / "home" / "diary.csv")
    assert refusal(path) == f"--allow read:{tmp_path / 'home' / 'diary.csv'}"


def test_names_and_what_is_there_need_nothing(tmp_path: Path) -> None:
    (tmp_path / "downloads" / "mine.csv").write_text("context,response\na,b\n", "utf-8")
    stages = {"train": {"base": "org/name", "template": "chat"}, "generate": {"models": ["base", "sensibility"]}}
    Recipe.load(recipe(tmp_path, data={"source": "hub:org/data"}, select={"policy": "exclusive"}, **stages))
    Recipe.load(recipe(tmp_path, data={"source": str(tmp_path / "downloads" / "mine.csv")}))
    Recipe.load(recipe(tmp_path, data={"source": "../downloads/mine.csv"}))
    for name in bundled_recipes():
        Recipe.load(name)


def test_the_run_may_be_read_and_is_written_where_the_user_keeps_runs(tmp_path: Path) -> None:
    (tmp_path / "home" / "runs" / "theirs").mkdir(parents=True)
    ledger = tmp_path / "home" / "runs" / "theirs" / "ledger.sqlite"
    ledger.write_text("x", "utf-8")
    Recipe.load(recipe(tmp_path, score={"judge": f"replay:{ledger}"}, run="runs/theirs"))
    for outside in (str(tmp_path / "home"), "runs/../../elsewhere", "~/.config"):
        path = recipe(tmp_path, run=outside)
        assert refusal(path) == f"--allow write:{Path(outside).expanduser().resolve()}"
        Recipe.load(path, run=tmp_path / "home" / "runs" / "other")
    for name in ("..", "."):
        with pytest.raises(UserError, match="name"):
            Recipe.load(recipe(tmp_path, name=name))


@pytest.mark.parametrize("place", ["train", "generate"])
def test_code_and_pickles_are_run_for_nobody_but_the_user(place: str, tmp_path: Path) -> None:
    stages: dict[str, Any] = {"select": {}, "train": {}, "generate": {}}
    stages[place] = {"trust_remote_code": True, "allow_pickle": True}
    path = recipe(tmp_path, **stages)
    assert sorted(refusal(path).split()) == ["--allow", "--allow", "code", "pickle"]
    with pytest.raises(UserError, match=r"--allow (code|pickle)"), allow(["code"]):
        Recipe.load(path)
    with allow(["code", "pickle"]):
        Recipe.load(path)
    Recipe.load(path, {f"{place}.trust_remote_code": "true", f"{place}.allow_pickle": "false"})
    Recipe.load(recipe(tmp_path, select={}, train={"trust_remote_code": False}))


def test_a_generating_models_endpoint_gets_no_key_of_the_users_before_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET", "very-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    endpoint = {"base_url": "https://example.org/v1", "api_key_env": "AWS_SECRET"}
    path = recipe(tmp_path, select={}, synthesize={"model": "m", "endpoint": endpoint})
    assert refusal(path).strip() == "--allow key:AWS_SECRET@example.org"
    with allow(["key:AWS_SECRET@example.org"]):
        Recipe.load(path)
    Recipe.load(
        path,
        {"synthesize.endpoint.base_url": "https://example.org/v1", "synthesize.endpoint.api_key_env": "AWS_SECRET"},
    )
    own = {"base_url": "https://api.openai.com/v1"}
    Recipe.load(recipe(tmp_path, select={}, synthesize={"model": "m", "endpoint": own}))


def test_nothing_is_sent_before_it_is_allowed_and_then_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET", "very-secret")
    (tmp_path / "downloads" / "few.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "oh"}]}) + "\n",
        "utf-8",
    )
    with MisbehavingServer(lambda body, number: ok(FORM.format(8, 3))) as server:
        judge = {"judge": "openai", "model": "m", "base_url": server.url, "api_key_env": "AWS_SECRET"}
        path = recipe(tmp_path, data={"source": str(tmp_path / "downloads" / "few.jsonl")}, score=judge)
        with pytest.raises(UserError, match=r"asks to send the environment variable AWS_SECRET to 127\.0\.0\.1"):
            ee.run_recipe(path, tmp_path / "run")
        assert not server.requests
        assert not (tmp_path / "run").exists()
        host = server.url.split("/")[2]
        ee.run_recipe(path, tmp_path / "run", allow=[f"key:AWS_SECRET@{host}"])
        assert server.requests
    assert permissions.VARIABLE not in os.environ


_NO_PATHS = {
    "name", "judge", "expert", "step", "subset", "format", "group_by", "encoding", "delimiter", "sheet", "where",
    "target", "report_to", "baseline", "metrics", "experts", "baselines", "evaluate.models", "lora.targets", "cluster",
    "filters", "languages", "by", "targets", "generators", "rounds", "wire", "base_url", "api_key_env",
}  # fmt: skip


def _texts(model: Any, place: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The fields that hold a text or texts, but for those that hold words of a fixed choice, or mappings."""
    for name, field in fields_of(model).items():
        kinds = list(parts(field.annotation))
        if section(model, name) is not None:
            yield from _texts(section(model, name), f"{name}.")
        elif str in kinds or any(get_origin(kind) in (tuple, list) and str in get_args(kind) for kind in kinds):
            yield f"{place}{name}", field


def test_every_text_of_a_recipe_is_known_to_be_a_path_or_none() -> None:
    for place, field in _texts(Recipe):
        inner = [one for part in get_args(field.annotation) for one in getattr(part, "__metadata__", ())]
        marked = any(isinstance(one, Reads) for one in (*field.metadata, *inner))
        named = place in _NO_PATHS or place.rpartition(".")[2] in _NO_PATHS
        assert marked != named or place == "evaluate.models", f"say whether {place} may be a path: mark it"


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("trust_remote_code: true", "--allow code"),
        ("allow_pickle: true", "--allow pickle"),
        ("base: /usr", "--allow read:/usr"),
        ("template: ../elsewhere.yaml", "--allow read:"),
    ],
)
def test_a_settings_file_may_no_more_than_a_recipe(tmp_path: Path, line: str, missing: str) -> None:
    file = tmp_path / "downloads" / "train.yaml"
    file.write_text(f"{line}\nepochs: 2\n", "utf-8")
    command = ["train", "--run", str(tmp_path / "run"), "--subset", "all", "--settings", str(file)]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert f"the training settings {file} asks to" in refused.stderr
    assert missing in refused.stderr
    key, _, value = line.partition(": ")
    own = CliRunner().invoke(app, [*command, "--set", f"{key}={value}"])
    assert "asks to" not in own.stderr, "what the command line says is its user's word"
    if "read:" not in missing:
        allowed = CliRunner().invoke(app, [*command, *missing.split()])
        assert "asks to" not in allowed.stderr


def test_a_recipe_reaches_no_store_and_no_web_server_with_its_users_keys(tmp_path: Path) -> None:
    for url in ("s3://theirs/talks/a.jsonl", "https://evil.example/a.jsonl", "hf://datasets/org/name/a.jsonl"):
        path = recipe(tmp_path, data={"source": url})
        assert refusal(path) == f"--allow read:{url}"
        with allow([f"read:{url}"]):
            assert Recipe.load(path).data.source == url
    assert (
        Recipe.load(recipe(tmp_path, data={"source": "a.csv"}), {"data.source": "s3://mine/a"}).data.place
        == "s3://mine/a"
    )


def test_a_folder_of_a_store_is_allowed_with_what_is_in_it_and_nothing_beside(tmp_path: Path) -> None:
    with allow(["read:s3://theirs/talks", "read:https://host.example/talks", "read:/"]):
        Recipe.load(recipe(tmp_path, data={"source": "s3://theirs/talks/2026/a.jsonl"}))
        for url in ("s3://theirs/talks-2/a", "s3://other/talks/a", "https://host.example/talks/../private"):
            assert refusal(recipe(tmp_path, data={"source": url})) == f"--allow read:{url}"
