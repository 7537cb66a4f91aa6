"""Frames as files, and what all commands share: pictures, footage, writing whole, errors of a line.

Free of TensorFlow, so that a client starts at once.
"""
