"""A process that renders one chat template, which may be anybody's: sandboxed, in bounded time and memory.

It is started by its path, without the package, its environment, or anything but jinja2; its argument is how many
seconds of the processor one text may take. Each line that comes in is a JSON object: first the template, then what to
render it with; each line that goes out is the text or the error.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

_MOST_MEMORY = 2**30
_MOST_TEXT = 2**20
"""Characters of a text beyond four times what it is made of."""


class _Generation(Extension):
    """`{% generation %}`, by which templates mark what the assistant says: its content stands for itself."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)


class _Namespace(Namespace):
    """Takes no name that Python keeps for itself."""

    def __init__(*args: Any, **names: Any) -> None:
        self, *values = args
        for name in dict(*values, **names):
            _check(name)
        Namespace.__init__(self, *values, **names)

    def __setitem__(self, name: str, value: Any) -> None:
        _check(name)
        super().__setitem__(name, value)


def _check(name: Any) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"a namespace cannot hold {name}")


def _environment() -> ImmutableSandboxedEnvironment:
    """What transformers gives a template."""

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, ensure_ascii=False, indent=None, separators=None, sort_keys=False: (
        json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    )
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    environment.globals["namespace"] = _Namespace
    return environment


def _bound(seconds: int) -> None:
    """Let the kernel end what takes too long from here on, or too much memory."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, most))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    """Render what comes in until nothing more comes."""
    template: Any = None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        reply = {}
        _bound(int(sys.argv[1]))
        try:
            if template is None:
                template = _environment().from_string(request["template"])
            else:
                text = template.render(**request)
                if len(text) > 4 * len(line) + _MOST_TEXT:
                    raise TemplateError(f"its text has {len(text):,} characters")
                reply["text"] = text
        except MemoryError:
            reply["error"] = "it takes too much memory"
        except Exception as error:
            reply["error"] = (" ".join(str(error).split()) or type(error).__name__)[:300]
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
