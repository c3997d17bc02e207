"""The composed folder answers through `transformers serve`, with no code of ours in the server."""

import json
import os
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason='needs the extra "serving"')
pytest.importorskip("uvicorn", reason='needs the extra "serving"')

import sys

import numpy as np
import torch
import transformers

from efficient_empathy.modelling.moe.compose import compose


@pytest.fixture
def served(made, tmp_path):
    """A mixture of three different experts with random routers, and the address of its server."""
    rng = np.random.default_rng(0)
    routers = [rng.standard_normal((3, 32)).astype(np.float32) for _ in range(2)]
    folder = tmp_path / "mixture"
    compose([made("llama", seed) for seed in range(3)], folder, top_k=2, routers=routers)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        Path(sys.executable).parent / "transformers",
        "serve",
        folder,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(
        [*command, "--device", "cpu", "--log-level", "info"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    try:
        assert server.stdout is not None
        told = []
        for line in server.stdout:
            told.append(line)
            if "Uvicorn running" in line:
                break
        else:
            pytest.fail("".join(told))
        yield folder, f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def asked(address, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def test_a_chat_completion_is_the_models_own_greedy_reply(served) -> None:
    folder, address = served
    messages = [{"role": "user", "content": "I failed the exam again."}]
    body = {"model": str(folder), "messages": messages, "max_tokens": 12, "temperature": 0.0}
    choice = asked(address, "/v1/chat/completions", body)["choices"][0]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        reply = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert choice["message"]["content"] == tokenizer.decode(reply, skip_special_tokens=True)
    assert choice["message"]["content"].strip()
