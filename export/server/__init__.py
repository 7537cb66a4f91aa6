"""A server with TensorFlow Serving's REST and gRPC APIs, for development.

A client, a test or the demo page that works here works with TensorFlow Serving: requests, answers
and errors are the same. It is not a production server: it serves one model, reads one TLS
certificate at start, and schedules no GPUs. For several models, changing certificates and
accelerators, use TensorFlow Serving, which reads the same SavedModel and configuration files.

`python -m export.serve` is its command. The modules import `frame_io`, never the model's code.
"""
