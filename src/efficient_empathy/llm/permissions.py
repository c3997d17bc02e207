"""What an endpoint that a file names asks for: keys and dialogues that go to a host."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from efficient_empathy.foundation.permissions import Permission, host_of, is_loopback
from efficient_empathy.llm.diagnosis import KEY_HEADERS
from efficient_empathy.llm.wire import WIRES


def endpoint_needs(
    wire_name: str,
    base_url: str | None,
    headers: Mapping[str, str],
    api_key_env: str | None,
    chosen: Collection[str],
) -> Iterator[Permission]:
    """What reaching an endpoint takes, of whose options the file has chosen those in `chosen`.

    A vendor's own key for its own host takes nothing, nor does a server on this machine without a key; the user's
    environment may name another host. Raises `UserError` for a wire format that there is not.
    """
    wire = WIRES.load(wire_name)
    own_urls = (wire.default_url, os.environ.get(wire.url_variable) or wire.default_url)
    host = host_of(base_url or own_urls[1])
    own_host = "base_url" not in chosen or host in map(host_of, own_urls)
    keys = {(headers[name], "headers") for name in headers}
    if api_key_env:
        keys.add((api_key_env, "api_key_env"))
    elif not any(name.lower() in KEY_HEADERS for name in headers) and os.environ.get(wire.key_variable):
        keys.add((wire.key_variable, ""))
    needs = [
        Permission("key", f"{variable}@{host}")
        for variable, option in sorted(keys)
        if not own_host or (option in chosen and variable != wire.key_variable)
    ]
    yield from needs
    if not own_host and not needs and not is_loopback(host):
        yield Permission("host", host)
