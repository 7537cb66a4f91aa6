"""Faults injected into the commands, and what was lost by them."""
