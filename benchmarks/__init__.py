"""Measurements for the docs: each command says what it measured, where, and writes JSON."""
