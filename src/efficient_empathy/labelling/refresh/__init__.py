"""Samples judged again where it matters."""
