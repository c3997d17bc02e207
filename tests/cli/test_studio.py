import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app
from forked_command import ForkedCommand
from selected_runs import selected_run

ALONE = "import pwd; pwd.getpwall = lambda: [pwd.getpwuid(__import__('os').getuid())]; "
"""Makes the machine one on which nobody else has an account."""
SHARED = "import pwd; pwd.getpwall = lambda: [pwd.struct_passwd(('bo', 'x', 54321, 1, '', '/home/bo', '/bin/bash'))]; "


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two runs in ./runs."""
    folder = tmp_path_factory.mktemp("studio")
    for name in ("first", "second"):
        selected_run(folder / "runs" / name, dialogues=6)
    return folder


@contextmanager
def started(folder, *arguments, machine=ALONE, browser=""):
    """The command as a process of its own, once it has printed its line; that line comes too."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "DISPLAY": "", "BROWSER": browser}
    process = ForkedCommand("studio", *arguments, cwd=folder, env=environment, before=machine)
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def get(url, headers=None):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("GET", f"{parts.path or '/'}?{parts.query}", headers=headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_it_opens_the_runs_of_this_folder_and_ends_with_ctrl_c(runs) -> None:
    with started(runs, "--port", 0, "--json") as (process, line):
        told = json.loads(line)
        assert told["runs"] == ["first", "second"]
        assert told["url"] == f"http://127.0.0.1:{told['port']}/"
        status, text = get(told["url"])
        assert status == 200
        assert "2 runs" in text
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "The studio has ended.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="the browser here is a shell script")
@pytest.mark.parametrize("options", [[], ["--token", "a-token-of-my-own"]])
def test_a_browser_s_command_line_which_all_users_see_has_no_token(runs, tmp_path, options) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho "$*" > {tmp_path}/line\ncp -p "${{1#file://}}" {tmp_path}/page 2>/dev/null\n'
        f"echo > {tmp_path}/done\n"
    )
    browser.chmod(0o700)
    os.mkfifo(tmp_path / "done")
    with started(runs, "--port", 0, "--open", *options, browser=f"{browser} %s") as (process, line):
        (tmp_path / "done").read_text()
        opened, url = (tmp_path / "line").read_text().strip(), line.split()[1]
        if not options:
            assert opened == url
            return
        assert opened.startswith("file://")
        assert "token" not in opened
        page = tmp_path / "page"
        assert page.stat().st_mode & 0o777 == 0o600
        assert f'content="0;url={url}"' in page.read_text()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert not Path(opened.removeprefix("file://")).exists()


def test_in_words_it_prints_one_line_with_the_address(runs) -> None:
    with started(runs, "runs/second", "--port", 0, "--no-open") as (_, line):
        assert re.fullmatch(r"Studio: http://127\.0\.0\.1:\d+/\n", line)
        assert get(line.split()[1])[0] == 303, "on to the thresholds of the only run"


def test_ctrl_c_ends_it_while_a_page_is_watching(runs) -> None:
    with started(runs, "--port", 0, "--json") as (process, line):
        port = json.loads(line)["port"]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as watching:
            watching.sendall(b"GET /api/live/events?run=first HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert watching.recv(64)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "The studio has ended.\n")


def test_an_address_that_others_reach_demands_a_token_and_makes_one(runs) -> None:
    with started(runs, "--host", "0.0.0.0", "--port", 0, "--json") as (_, line):
        told = json.loads(line)
        token = urlsplit(told["url"]).query.removeprefix("token=")
        assert len(token) >= 40
        here = f"http://127.0.0.1:{told['port']}/"
        assert get(here)[0] == 401
        assert get(here + "?token=wrong")[0] == 401
        assert get(here, {"Authorization": f"Bearer {token}"})[0] == 200


def test_a_token_of_ones_own_holds_on_loopback_too(runs) -> None:
    with started(runs, "--token", "my-own-long-token", "--port", 0, "--json") as (_, line):
        url = json.loads(line)["url"]
        assert url.endswith("/?token=my-own-long-token")
        assert get(url.split("?")[0])[0] == 401
        assert get(url)[0] == 200


def test_where_others_have_accounts_it_makes_a_token(runs) -> None:
    with started(runs, "--port", 0, "--json", machine=SHARED) as (_, line):
        url = json.loads(line)["url"]
        assert len(urlsplit(url).query.removeprefix("token=")) >= 40
        assert get(url.split("?")[0])[0] == 401
        assert get(url)[0] == 200


def test_only_an_express_word_leaves_the_token_out_where_others_reach_it(runs) -> None:
    with started(runs, "--host", "0.0.0.0", "--no-token", "--port", 0, "--json") as (process, line):
        told = json.loads(line)
        assert "token" not in told["url"]
        assert get(f"http://127.0.0.1:{told['port']}/")[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1].splitlines()[0] == (
            "! Without a token whoever reaches it over the network can open the studio, read the runs and change their "
            "ratings."
        )


def test_a_proxy_is_let_in_by_name_and_demands_a_token(runs) -> None:
    options = ("--allowed-hosts", "a.example,studio.example.org", "--trusted-proxies", "127.0.0.1")
    with started(runs, *options, "--port", 0, "--json") as (_, line):
        url = json.loads(line)["url"]
        assert get(url, {"Host": "studio.example.org", "X-Forwarded-For": "203.0.113.5"})[0] == 200
        assert get(url.split("?")[0], {"Host": "studio.example.org"})[0] == 401
        assert get(url, {"Host": "evil.example"})[0] == 403


def test_the_port_that_is_asked_for_is_taken_or_nothing(runs, monkeypatch) -> None:
    monkeypatch.chdir(runs)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["studio", "--port", str(port), "--no-open"])
        assert done.exit_code == 1
        assert f"cannot listen on 127.0.0.1, port {port}" in done.output


def test_two_studios_stand_beside_each_other(runs) -> None:
    with started(runs, "--json") as (_, first), started(runs, "--json") as (_, second):
        ports = [json.loads(line)["port"] for line in (first, second)]
        assert 8321 <= ports[0] < ports[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["runs/first", "state"], "state is no run's folder"),
        (["nowhere"], "nowhere is no folder"),
        (["runs/first", "--token", "short"], "a token has at least 16 characters"),
        (["runs/first", "--token", "my-own-long-token", "--no-token"], "exclude one another"),
        (["runs/first", "--allowed-hosts", "https://a.example/"], "'https://a.example/' is no name: take one such as"),
        (["runs/first", "--trusted-proxies", "nginx"], "'nginx' is no address: take one such as 127.0.0.1"),
        (["runs/first", "--host", "192.0.2.1", "--port", "0"], "cannot listen on 192.0.2.1"),
        (["runs/first", "--host", "no such host", "--port", "0"], "cannot listen on no such host"),
    ],
)
def test_what_cannot_be_is_one_sentence(runs, monkeypatch, arguments, sentence) -> None:
    monkeypatch.chdir(runs)
    (runs / "state").mkdir(exist_ok=True)
    done = CliRunner().invoke(app, ["studio", *arguments, "--no-open"])
    assert done.exit_code == 1
    assert sentence in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("arguments", [(), ("logs",)])
def test_without_runs_it_opens_on_the_page_that_makes_one(tmp_path, arguments) -> None:
    for name in arguments:
        (tmp_path / name).mkdir()
    with started(tmp_path, *arguments, "--json") as (_, line):
        started_on = json.loads(line)
        assert started_on["runs"] == []
        assert get(started_on["url"])[0] == 303
        status, page = get(started_on["url"] + "new")
        assert status == 200
        assert "Choose a file" in page


def test_the_server_is_small(runs) -> None:
    """Without torch, and with what a Python with polars takes anyway: in a process that was not forked from another."""
    code = f"{ALONE}from efficient_empathy.cli import app; app()"
    command = [sys.executable, "-c", code, "studio", "--port", "0", "--json"]
    environment = {**os.environ, "XDG_STATE_HOME": str(runs / "state"), "DISPLAY": "", "BROWSER": ""}
    process = subprocess.Popen(command, cwd=runs, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(process.stdout.readline())["url"]
        for path in ("", "lab?run=first", "samples?run=first", "rate?run=first"):
            get(url + path)
        server = psutil.Process(process.pid)
        assert server.memory_info().rss < 400e6
        loaded = {path for path in (mapping.path for mapping in server.memory_maps()) if "torch" in path}
        assert loaded == set()
    finally:
        process.kill()
        process.communicate()
