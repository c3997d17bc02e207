"""What a reply in another format than the one that was asked for is, in words that end in what to do."""

from __future__ import annotations

from typing import Any


def name_dialect(reply: Any) -> str:
    """The format that a reply has, and what to do about it; empty where it is none that is known here.

    Formats are known by what their own documentation says a reply must have.
    """
    if isinstance(reply, list):
        reply = reply[0] if reply and isinstance(reply[0], dict) else {}
    if not isinstance(reply, dict):
        return ""
    if isinstance(reply.get("content"), list) and reply.get("type") == "message":
        return "a message in Anthropic's format: use the judge anthropic, or the server's /v1/chat/completions"
    choices = reply.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        if isinstance(choices[0].get("message"), dict):
            return "a chat completion in OpenAI's format: use the judge openai, or the server's /v1/messages"
        if isinstance(choices[0].get("text"), str):
            return "a text completion: give the base URL of chat completions, such as http://HOST/v1"
    if "candidates" in reply or "usageMetadata" in reply:
        return "Gemini's own format: give https://generativelanguage.googleapis.com/v1beta/openai as base URL"
    if isinstance(reply.get("output"), list) or reply.get("object") == "response":
        return "OpenAI's responses format: give the base URL of chat completions, such as https://api.openai.com/v1"
    if "done" in reply and (isinstance(reply.get("message"), dict) or "response" in reply):
        return "Ollama's own format: give a base URL that ends in /v1, such as http://localhost:11434/v1"
    if "generated_text" in reply or "tokens_predicted" in reply:
        return "a text completion: give the base URL of chat completions, such as http://HOST/v1"
    return ""
