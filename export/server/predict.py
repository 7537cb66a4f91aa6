"""Shared by both APIs: find the version, check the request, run it, describe the model."""

import io
import struct
import warnings

import PIL.Image
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from export.server.errors import CODES, ServingError, invalid
from export.server.versions import not_found

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
_MAX_SEGMENTS = 1000  # Of a JPEG before its frame; photos have some dozens.
_JPEG_XL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")


class Predictor:
    """Answers one model's requests, from either API.

    Args:
        manager: a `versions.Manager`.
        batcher: a `batching.Batcher`.
        limits: a `tensor_specs.Limits`.
        max_image_pixels: of all pictures among the inputs of a request together.
    """

    def __init__(self, manager, batcher, limits, max_image_pixels):
        self.name = manager.name
        self.limits = limits
        self._manager = manager
        self._batcher = batcher
        self._max_image_pixels = max_image_pixels

    async def predict(self, spec, read, output_filter=()):
        """Answers a predict request.

        Args:
            spec: a ModelSpec: the model, maybe a version or a label, maybe a signature.
            read: an async function of a `servable.Signature` that returns input name -> array,
                checked as `json_tensors` and `proto_tensors` do.
            output_filter: names of outputs; all if empty.

        Returns:
            The number of the version that answered, the name of the signature, and output name ->
            array.

        Raises:
            Exception: turn it into an answer with `errors.from_exception`.
        """
        version = self._version(spec)
        with version.use() as servable:
            signature = servable.signature(spec.signature_name)
            names = _filtered(signature, output_filter)
            inputs = await read(signature)
            self._check_pictures(signature, inputs)
            outputs = await self._batcher.run(signature, inputs)
        return version.number, signature.name, {name: outputs[name] for name in names}

    def metadata(self, spec):
        """The GetModelMetadataResponse of a ModelSpec; raises `ServingError`."""
        version = self._version(spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = self.name
        response.model_spec.version.value = version.number
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in version.servable.definitions.items():
            signatures.signature_def[name].CopyFrom(definition)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, spec):
        """The GetModelStatusResponse of a ModelSpec; raises `ServingError`.

        With a label it is that of the label's version, as the documentation of TensorFlow
        Serving's REST API has it.
        """
        number, label = _version_choice(spec)
        if spec.name != self.name:
            wanted = "any versions" if number is None else f"version {number}"
            raise ServingError("NOT_FOUND", f"Could not find {wanted} of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._manager.statuses(number, label):
            status = response.model_version_status.add(version=version.number)
            status.state = get_model_status_pb2.ModelVersionStatus.State.Value(version.state)
            if version.error:
                status.status.error_code = CODES[version.error.code][0]
                status.status.error_message = version.error.message
            else:
                status.status.error_code = 0
        return response

    def newest(self):
        """The `Servable` of the newest version; raises `ServingError` if there is none."""
        return self._manager.get().servable

    def _version(self, spec):
        number, label = _version_choice(spec)
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.name != self.name:
            if label:
                raise invalid(f"Unrecognized servable version label: {label}")
            raise not_found(spec.name, number)
        return self._manager.get(number, label)

    def _check_pictures(self, signature, inputs):
        """Raises INVALID_ARGUMENT if pictures have more pixels than they may, before decoding."""
        pixels = 0
        for name, spec in signature.inputs.items():
            if spec.kind != types_pb2.DT_STRING:
                continue
            for content in inputs[name].reshape(-1):
                pixels += _pixels(name, content)
                if pixels > self._max_image_pixels:
                    raise invalid(
                        f"input {name!r}: the request's pictures have more than"
                        f" {self._max_image_pixels} pixels, the server's --max_image_pixels"
                    )


def _version_choice(spec):
    """The number and the label of a ModelSpec, at most one of them not None."""
    choice = spec.WhichOneof("version_choice")
    number = spec.version.value if choice == "version" else None
    return number, spec.version_label if choice == "version_label" else None


def _filtered(signature, output_filter):
    """The names of the outputs to answer with."""
    for i, name in enumerate(output_filter):
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the"
                f" set {{{','.join(signature.outputs)}}}."
            )
        if name in output_filter[:i]:
            raise invalid(f"duplicate output tensor alias: {name}")
    return list(output_filter) or list(signature.outputs)


def _pixels(name, content):
    """The number of pixels of a picture, from its header; 0 if it is not a picture.

    A BMP, which TensorFlow does not unpack, cannot have more than its bytes.
    """
    form = next((form for start, form in _PICTURES.items() if content.startswith(start)), None)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        form = "WEBP"
    if content.startswith(_JPEG_XL):
        raise invalid(f"input {name!r} has a JPEG XL picture, which this server does not support")
    if content.startswith(b"BM"):
        return len(content)
    if form is None:
        return 0
    try:
        if form == "PNG":
            width, height = struct.unpack(">II", content[16:24])
            return width * height
        if form == "JPEG":
            return _jpeg_pixels(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(content), formats=(form,)) as image:
                width, height = image.size
                several = form == "GIF" and image.is_animated
    except PIL.Image.DecompressionBombError:
        return float("inf")
    except Exception:  # Pillow raises errors of many kinds.
        raise invalid(f"input {name!r} has a {form} picture that cannot be read") from None
    if several:
        raise invalid(f"input {name!r} has an animated GIF, which this server does not support")
    return width * height


def _jpeg_pixels(content):
    """Width times height of a JPEG's first frame. Raises for what is not among its markers.

    Pillow would read as many segments as a file cares to have, which takes seconds.
    """
    place = 2
    for _ in range(_MAX_SEGMENTS):
        start, marker, size = struct.unpack(">BBH", content[place : place + 4])
        if start != 0xFF:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width * height
        place += 1 if marker == 0xFF else 2 + size  # A marker may follow fill bytes.
    raise ValueError("no frame")
