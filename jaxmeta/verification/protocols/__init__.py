"""Protocols that measure an assistant: how well it tells speakers apart, guards its gate and finds words."""
