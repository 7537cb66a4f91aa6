"""What is exported of a model, by the kind of its frames, a row of `tf_inbetween.kinds.KINDS`."""

import dataclasses
from collections.abc import Callable

from export import signatures, sound_signatures, text_signatures


@dataclasses.dataclass(frozen=True)
class Exported:
    """What a SavedModel of a kind has.

    Attributes:
      signatures: (model, config, training error) -> {name: (function, input specs)}; the first one
        is `serving_default` too.
      cases: (model, config, training error, batch) -> requests with their answers, see
        `export.golden_requests`.
      samples: the names of the sample files that an evaluation left, as a pattern.
      formats: the rows of `exporter.FORMATS` that it can be converted to.
      measures_error: whether the confidence needs the reconstruction error of the training.
    """

    signatures: Callable
    cases: Callable
    samples: str
    formats: tuple[str, ...]
    measures_error: bool


def _picture_cases(*arguments):
    from export import golden_requests

    return golden_requests.cases(*arguments)


EXPORTED = {
    "pictures": Exported(signatures.signatures, _picture_cases, "*.png", ("litert", "onnx"), True),
    "sound": Exported(sound_signatures.signatures, sound_signatures.cases, "*.wav", (), True),
    "text": Exported(text_signatures.signatures, text_signatures.cases, "*.txt", (), False),
}
