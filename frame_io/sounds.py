"""Sounds as files."""

SAMPLE_RATE = 16_000  # Hz
