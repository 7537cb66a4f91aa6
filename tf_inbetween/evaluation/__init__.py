"""Evaluation: pairs of frames, methods, what is measured, figures, comparisons."""
