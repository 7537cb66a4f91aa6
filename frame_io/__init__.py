"""Reads and writes frames as files, and runs the commands of all packages.

It does not import TensorFlow, so that clients start fast.
"""
