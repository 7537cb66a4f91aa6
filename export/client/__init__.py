"""Draws frames between pictures with a server: TF Serving, or this package's.

    client = connect("http://127.0.0.1:8501", "teapot")
    frames, confidence = draw(client, first_bytes, second_bytes, [0.25, 0.5, 0.75])

`python -m export.client` is its command. REST needs no TensorFlow, and neither API needs the
model's code.
"""

import urllib.parse

from export import credentials
from export.client.grpc_client import GrpcClient
from export.client.model_client import LOOPBACK, TIMEOUT_S, ServerError
from export.client.rest_client import RestClient
from frame_io.errors import InputError

__all__ = [
    "TIMEOUT_S",
    "GrpcClient",
    "RestClient",
    "ServerError",
    "connect",
    "draw",
    "draw_glide",
    "draw_lines",
]

_MAX_FRAMES = 256  # Of a request, so that no server finds it too large, nor takes too long.


def connect(
    server,
    model,
    timeout_s=TIMEOUT_S,
    version=None,
    label=None,
    *,
    ca_certificate=None,
    token=None,
):
    """A client of one model on one server.

    Nothing is sent before the first call.

    Args:
        server: `http://HOST:PORT`, `grpc://HOST:PORT`, or with TLS `https://…`, `grpcs://…`.
        model: the name under which it is served.
        timeout_s: of a request, in seconds.
        version: whole number of the version to ask; None for the newest.
        label: of the version to ask, such as "stable"; not both of them.
        ca_certificate: path of the PEM file of the server's certificate authority; None for the
            system's.
        token: the server's token; None for none.

    Returns:
        A `RestClient` or a `GrpcClient`. They answer alike.

    Raises:
        InputError: for another kind of address, both a version and a label, an invalid certificate,
            or a token that would be sent unencrypted.
    """
    kinds = {"http": RestClient, "https": RestClient, "grpc": GrpcClient, "grpcs": GrpcClient}
    try:
        url = urllib.parse.urlsplit(server)
        valid = url.scheme in kinds and url.hostname and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"{server!r} is not a server: use http://HOST:PORT or grpc://HOST:PORT")
    if version is not None and label is not None:
        raise InputError("a version or a label, not both")
    encrypted = url.scheme in ("https", "grpcs")
    if ca_certificate is not None:
        if not encrypted:
            raise InputError(f"--ca_certificate: {server} has no TLS; use https:// or grpcs://")
        credentials.check_authority(ca_certificate)
    if token is not None and not encrypted and url.hostname not in LOOPBACK:
        raise InputError(f"{server}: would send the token unencrypted; use https:// or grpcs://")
    return kinds[url.scheme](server, model, timeout_s, version, label, ca_certificate, token)


def draw(client, first_bytes, second_bytes, t):
    """Draws frames between two pictures.

    Args:
        client: what `connect` returned.
        first_bytes, second_bytes: a PNG or a JPEG file, such as `picture_files.read` gives.
        t: a sequence of numbers in [0, 1].

    Returns:
        The frames, a list of PNG files as bytes, one for every t; and the confidence in (0, 1]:
        how near the pictures are to what the model was trained on.

    Raises:
        ServerError: if the server fails or refuses.
    """
    ends = {"first_bytes": [first_bytes], "second_bytes": [second_bytes]}
    confidence = client.predict({**ends, "t": [0.5]}, "inbetween_png").get("confidence")
    if confidence is None or confidence.shape != (1,) or confidence.dtype.kind != "f":
        raise client.foreign()
    frames = []
    for start in range(0, len(t), _MAX_FRAMES):
        times = t[start : start + _MAX_FRAMES]
        files = client.predict({**ends, "t": [times]}, "sequence_png").get("frame_bytes")
        if files is None or files.shape != (1, len(times)):
            raise client.foreign()
        if not all(isinstance(file, bytes) for file in files[0]):
            raise client.foreign()
        frames.extend(files[0])
    return frames, float(confidence[0])


def draw_lines(client, first, second, t):
    """Writes lines of text between two.

    Args:
        client: what `connect` returned, of a model of text.
        first, second: str.
        t: a sequence of numbers in [0, 1].

    Returns:
        The lines, a list of str, one for every t; and the confidence in (0, 1], as of `draw`.

    Raises:
        ServerError: if the server fails or refuses.
    """
    ends = {"first": [first.encode()], "second": [second.encode()]}
    confidence = client.predict({**ends, "t": [0.5]}, "inbetween_text").get("confidence")
    if confidence is None or confidence.shape != (1,) or confidence.dtype.kind != "f":
        raise client.foreign()
    lines = []
    for start in range(0, len(t), _MAX_FRAMES):
        times = t[start : start + _MAX_FRAMES]
        texts = client.predict({**ends, "t": [times]}, "sequence_text").get("text")
        if texts is None or texts.shape != (1, len(times)):
            raise client.foreign()
        try:
            lines.extend(text.decode() for text in texts[0])
        except (AttributeError, UnicodeDecodeError) as error:
            raise client.foreign() from error
    return lines, float(confidence[0])


def draw_glide(client, first_bytes, second_bytes, t):
    """Has the sounds between two made into one.

    Args:
        client: what `connect` returned, of a model of sound.
        first_bytes, second_bytes: WAV files of 16 bits at 16 kHz.
        t: a sequence of at most 256 numbers in [0, 1].

    Returns:
        A WAV file of the sounds at all t, one after another without seams; and the confidence in
        (0, 1], as of `draw`.

    Raises:
        InputError: for more times than a server makes one sound of.
        ServerError: if the server fails or refuses.
    """
    if len(t) > _MAX_FRAMES:
        raise InputError(f"{len(t)} sounds: at most {_MAX_FRAMES} are made into one")
    ends = {"first_bytes": [first_bytes], "second_bytes": [second_bytes]}
    confidence = client.predict({**ends, "t": [0.5]}, "inbetween_wav").get("confidence")
    if confidence is None or confidence.shape != (1,) or confidence.dtype.kind != "f":
        raise client.foreign()
    files = client.predict({**ends, "t": [t]}, "glide_wav").get("sound_bytes")
    if files is None or files.shape != (1,) or not isinstance(files[0], bytes):
        raise client.foreign()
    return files[0], float(confidence[0])
