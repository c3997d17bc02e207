"""The endpoint that settings describe."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.diagnosis import KEY_HEADERS
from efficient_empathy.llm.endpoint import Endpoint
from efficient_empathy.llm.settings import public_url
from efficient_empathy.llm.transport import check_url
from efficient_empathy.llm.wire import WIRES

_SURELY_A_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def connect(
    wire: str,
    base_url: str | None,
    model: str,
    *,
    api_key_env: str | None = None,
    headers: Mapping[str, str] | None = None,
    extra_body: Mapping[str, Any] | None = None,
    **options: Any,
) -> Endpoint:
    """The endpoint that settings describe, its key and its headers' values read from the environment.

    With a header that says who asks, no other key is sent unless `api_key_env` names its variable. `wire` is a name of
    `WIRES`, which also knows the default URL; `options` are passed on to `Endpoint`. Raises
    `UserError` for a variable that is not set, and for what `Endpoint` does not take.
    """
    spoken = WIRES.load(wire)()
    values = {name: _value(name, variable) for name, variable in (headers or {}).items()}
    credential = next((variable for name, variable in (headers or {}).items() if name.lower() in KEY_HEADERS), None)
    key_name = api_key_env or credential or spoken.key_variable
    key = os.environ.get(key_name) if api_key_env or credential is None else None
    return Endpoint(
        base_url or os.environ.get(spoken.url_variable) or spoken.default_url,
        model,
        api_key=key,
        key_name=key_name,
        wire=spoken,
        headers=values,
        extra_body=extra_body,
        **options,
    )


def address_of(wire: str, base_url: str) -> str:
    """The `Endpoint.address` of what would be at a base URL."""
    return public_url(str(WIRES.load(wire)().url(check_url(base_url))))


def _value(name: str, variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    named = variable if _SURELY_A_VARIABLE.fullmatch(variable) else "the environment variable"
    if not value:
        raise UserError(f"{named} of --header {name}=… is not set: export it with the header's value")
    if not (value.isascii() and value.isprintable()):
        raise UserError(f"{named} of --header {name}=… holds characters that no header can have: set it again")
    return value
