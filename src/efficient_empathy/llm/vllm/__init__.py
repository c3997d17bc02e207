"""A server of vLLM's own, for as long as somebody in this process asks it."""
