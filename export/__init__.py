"""Exports a trained run as a SavedModel, serves it, and calls servers.

`exporter` and its command `saved_model` import the model; `serve`, `server` and `client` do not:
they work with any SavedModel whose signatures follow TensorFlow Serving's rules, and any server
that speaks its REST or gRPC API.
"""
