"""Certificates and tokens, read from files and checked before anything listens or is sent."""

import dataclasses
import re
import ssl
from pathlib import Path

from frame_io.errors import InputError, one_line

_SHORTEST_TOKEN = 16  # Characters; a shorter token could be guessed.


@dataclasses.dataclass(frozen=True)
class Tls:
    """The certificate of a server.

    Attributes:
        context: the `ssl.SSLContext` of a server, TLS 1.2 or newer.
        certificate, key: the files' PEM bytes.
    """

    context: ssl.SSLContext
    certificate: bytes
    key: bytes


def read_tls(certificate, key):
    """Reads a server's certificate and its key.

    Args:
        certificate: path of a PEM file: the certificate, then those that signed it.
        key: path of the PEM file of its private key, without a password.

    Returns:
        A `Tls`; None if both are None.

    Raises:
        InputError: only one is given, a file cannot be read, or they do not match.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InputError("--ssl_certificate and --ssl_key: give both or none")
    pem = []
    for flag, path in (("ssl_certificate", certificate), ("ssl_key", key)):
        try:
            pem.append(Path(path).read_bytes())
        except OSError as error:
            raise InputError(f"--{flag}={path}: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password, or OpenSSL would ask for one in the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise InputError(
            f"--ssl_certificate={certificate} --ssl_key={key}: not a certificate in PEM and its"
            f" key without a password: {one_line(error)}"
        ) from None
    return Tls(context, *pem)


def check_authority(path):
    """Raises `InputError` unless `path` is a PEM file of certificates that a client can trust."""
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise InputError(
            f"--ca_certificate={path}: not a certificate in PEM: {one_line(error)}"
        ) from None
    except OSError as error:
        raise InputError(f"--ca_certificate={path}: {error.strerror}") from None


def read_token(path):
    """Reads the token that clients must send; None if `path` is None.

    Args:
        path: a file with one line: letters, digits and -._~+/ (RFC 6750), at least 16 of them.

    Raises:
        InputError: it cannot be read, or is not such a line.
    """
    if path is None:
        return None
    try:
        token = Path(path).read_bytes().decode("ascii", "replace").strip()
    except OSError as error:
        raise InputError(f"--token_file={path}: {error.strerror}") from None
    if len(token) < _SHORTEST_TOKEN or not re.fullmatch(r"[\w.~+/-]+=*", token, re.ASCII):
        raise InputError(
            f"--token_file={path}: must be one line of at least {_SHORTEST_TOKEN} letters, digits"
            " and -._~+/, such as `openssl rand -hex 32` prints"
        )
    return token
