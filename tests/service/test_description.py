"""The page at `/`: what it tells readers to run is what runs."""

import html
import json
import re
import shlex

from efficient_empathy.service.description import page


def test_a_shell_reads_the_pages_command_as_it_is_meant() -> None:
    command = re.search(r"<pre[^>]*>(curl .*?)</pre>", page())
    assert command is not None
    words = shlex.split(html.unescape(command[1]))
    assert words[0] == "curl"
    assert "messages" in json.loads(words[words.index("--json") + 1])
    assert words[-1] == "ADDRESS/v1/score"
