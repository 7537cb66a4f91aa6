"""What a client of a model does, whether it speaks REST or gRPC."""

import numpy as np

from frame_io.errors import InputError

TIMEOUT_S = 30.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ServerError(InputError):
    """The server could not be reached, did not answer in time, or answered with an error."""


class ModelClient:
    """A client of one model on one server, whichever API it speaks: what both have.

    `predict` is for any signature of any model.
    """

    def __init__(self, server, model, timeout_s, version, label, ca_certificate, token):
        self.server = server.rstrip("/")
        self.model = model
        self.timeout_s = timeout_s
        self.version = version
        self.label = label
        self._ca_certificate = ca_certificate
        self._authorization = token and f"Bearer {token}"
        self._signatures = None

    def predict(self, inputs, signature="serving_default"):
        """Runs the model.

        Args:
            inputs: a dict of names to arrays or nested lists of numbers, strings or bytes. They
                are cast to what the signature takes.
            signature: its name.

        Returns:
            A dict of names to NumPy arrays; strings are bytes in an array of objects.

        Raises:
            InputError: for a signature or an input that the model does not have.
            ServerError: if the server fails or refuses.
        """
        wanted = self._signature(signature)["inputs"]
        unknown = sorted(inputs.keys() - wanted.keys())
        if unknown:
            names = ", ".join(sorted(wanted))
            raise InputError(f"signature {signature} has no input {unknown[0]!r}; it has {names}")
        arrays = {}
        for name, value in inputs.items():
            try:
                arrays[name] = np.asarray(value, wanted[name])
            except (TypeError, ValueError, OverflowError) as error:
                raise InputError(f"input {name}: {error}") from error
        return self._predict(arrays, signature)

    def signatures(self):
        """The names of the model's signatures. Raises as `predict`."""
        self._read_signatures()
        return list(self._signatures)

    def _read_signatures(self):
        if self._signatures is None:
            try:
                definitions = self.metadata()["metadata"]["signature_def"]["signature_def"]
                self._signatures = {
                    name: {
                        part: {key: _dtype(info["dtype"]) for key, info in signature[part].items()}
                        for part in ("inputs", "outputs")
                    }
                    for name, signature in definitions.items()
                    # TensorFlow's own __saved_model_init_op is not for calling.
                    if name[:2] != "__"
                }
            except (KeyError, TypeError, AttributeError) as error:
                raise self.foreign() from error

    def _signature(self, name):
        self._read_signatures()
        if name not in self._signatures:
            names = ", ".join(sorted(self._signatures))
            raise InputError(f"model {self.model} has no signature {name!r}; it has {names}")
        return self._signatures[name]

    def _missing(self, message):
        which = f" version {self.version}" if self.version is not None else ""
        which = f" label {self.label}" if self.label is not None else which
        return ServerError(f"{self.server} has no model {self.model}{which}: {message}")

    def _late(self):
        return ServerError(f"{self.server}: no answer within {self.timeout_s:g} s")

    def _unreachable(self, reason):
        return ServerError(f"{self.server} cannot be reached: {reason}")

    def foreign(self):
        """The error for an answer that is not from a model of this project."""
        return ServerError(f"{self.server} does not answer like TF Serving")


def _dtype(name):
    """The NumPy type of TensorFlow's, "DT_FLOAT" say; object where NumPy has none."""
    named = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_STRING": "object"}
    try:
        return np.dtype(named.get(name) or name.removeprefix("DT_").lower())
    except TypeError:
        return np.dtype(object)


def flat(message):
    """What a server or a library says, on one line."""
    return " ".join(str(message).split())
