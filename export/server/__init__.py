"""A server with TensorFlow Serving's REST and gRPC APIs, for trying and testing its clients.

A client, a test or the demo page that works here works with TensorFlow Serving: requests, answers
and errors are the same. It will not grow into a production server. It serves one model, TLS ends
with one certificate that is read at the start, and it schedules no GPUs; for several models, for
certificates that change and for accelerators use TensorFlow Serving, which reads the same
SavedModel and the same configuration files.

`python -m export.serve` is its command. The modules import `frame_io`, and never the model's code.
"""
