"""Reads and writes frames as files, and runs the commands of all packages.

It imports no TensorFlow, so that a client starts at once.
"""
