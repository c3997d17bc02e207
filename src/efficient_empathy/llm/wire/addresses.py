"""From a base URL, as people paste it, to where requests go."""

from __future__ import annotations

import re

from yarl import URL

from efficient_empathy.foundation.errors import UserError, endpoint_name

_TAIL = re.compile(
    r"(.*/(?:v\d\w*|openai|deployments/[^/]+))/(?:chat|completions|responses|embeddings|complete|models(?:/.+)?|messages/.+)"
)
_NATIVE = re.compile(r"(.*?)(/api/(?:chat|generate|tags|show)|/generate(?:_stream)?|/completion)")
_AZURE_HOSTS = (".openai.azure.com", ".openai.azure.us", ".openai.azure.cn", ".cognitiveservices.azure.com")
_FOUNDRY_HOST = ".services.ai.azure.com"
_GEMINI_HOST = "generativelanguage.googleapis.com"
_DEPLOYMENT = re.compile(r"/openai/deployments/[^/]+")


def plain_path(base: URL) -> str:
    """The path of a base URL without double and trailing slashes, and without the end of some other request's."""
    path = re.sub("/{2,}", "/", base.path).rstrip("/")
    match = _TAIL.fullmatch(path)
    return match[1] if match else path


def is_azure(url: URL) -> bool:
    """Whether a URL is one of Azure's, or of a gateway that has its form: both take a key in the header api-key."""
    host = url.host or ""
    return host.endswith((*_AZURE_HOSTS, _FOUNDRY_HOST)) or _DEPLOYMENT.search(url.path) is not None


def check_address(base: URL) -> None:
    """Raise `UserError`, with the base URL to give, for one that no chat completions are below."""
    name, origin, host, path = endpoint_name(str(base)), str(base.origin()), base.host or "", plain_path(base)
    if native := _NATIVE.fullmatch(path):
        raise UserError(f"{name} is no place of chat completions: give {origin}{native[1]}/v1")
    if host == _GEMINI_HOST and "/openai" not in path:
        raise UserError(f"{name} speaks Gemini's own format: give https://{_GEMINI_HOST}/v1beta/openai")
    if not host.endswith((*_AZURE_HOSTS, _FOUNDRY_HOST)):
        return
    forms = f"{origin}/openai/deployments/DEPLOYMENT?api-version=2024-10-21 or {origin}/openai/v1"
    if path in ("", "/openai", "/openai/deployments") or path.startswith("/api/projects"):
        raise UserError(f"{name} names no deployment: give {forms}")
    if _DEPLOYMENT.search(path) and "api-version" not in base.query:
        raise UserError(f"{name} needs Azure's api-version: give {forms}")


def other_format(base: URL, ending: str, judge: str) -> None:
    """Raise `UserError` for a URL that ends as that of another format, which `judge` speaks."""
    if base.path.rstrip("/").endswith(ending):
        raise UserError(
            f"{endpoint_name(str(base))} is where another format is spoken: use the judge {judge}, "
            f"or leave {ending} out"
        )
