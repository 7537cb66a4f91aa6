"""The JSON of a predict request to numpy arrays, and arrays to the JSON of its answer.

The forms, the rules and the wording of errors are those of TensorFlow Serving's REST API
(https://www.tensorflow.org/tfx/serving/api_rest and `json_tensor.cc`).
"""

import base64
import binascii
import itertools
import json
import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from export.server.errors import ServingError, invalid
from export.server.tensor_specs import shape_text, type_name

_MAX_RANK = 32
_QUOTED = 256  # Characters of a value that an error message quotes.


class _Token(float):
    """NaN, Infinity or -Infinity as a JSON token: unlike 1e999, it is meant."""


_FLOATS = {int, float, _Token}
_JSON_KINDS = {
    types_pb2.DT_FLOAT: _FLOATS,
    types_pb2.DT_DOUBLE: _FLOATS,
    types_pb2.DT_INT8: {int},
    types_pb2.DT_UINT8: {int},
    types_pb2.DT_INT16: {int},
    types_pb2.DT_INT32: {int},
    types_pb2.DT_UINT32: {int},
    types_pb2.DT_INT64: {int},
    types_pb2.DT_UINT64: {int},
    types_pb2.DT_BOOL: {bool},
}
_KIND_NAMES = {dict: "Object", list: "Array", str: "String", type(None): "Null"}

_decoder = json.JSONDecoder(parse_constant=_Token)


def read_document(body):
    """Parses the body of a request.

    Args:
        body: bytes of a JSON object; the tokens NaN, Infinity and -Infinity are numbers.

    Returns:
        The object, a dict.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = _decoder.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: not UTF-8 at offset: {error.start}") from None
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except RecursionError:
        raise invalid("JSON Parse error: lists or objects are nested too deeply") from None
    except ValueError as error:  # A whole number of thousands of digits.
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_quote(document)} Is not object")
    return document


def read_signature_name(document):
    """The signature that a request names, "" if none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {_quote(document)} not formatted correctly. 'signature_name' key must be"
            " a string value."
        )
    return name


def _in_rows(document):
    """Whether a request has its inputs in rows ("instances") rather than columns ("inputs")."""
    rows = "instances" in document
    if rows and "inputs" in document:
        raise invalid(
            f"JSON Value: {_quote(document)} Not formatted correctly expecting only one of 'inputs'"
            " or 'instances' keys to exist"
        )
    if not rows and "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    return rows


def read_json(document, specs, limits):
    """The inputs of a parsed request.

    Args:
        document: what `read_document` returned.
        specs: input name -> `tensor_specs.Spec`.
        limits: a `tensor_specs.Limits`.

    Returns:
        Input name -> numpy array of the spec's type, of a shape that the spec and the limits allow.

    Raises:
        ServingError: INVALID_ARGUMENT, or UNIMPLEMENTED for a type that JSON has no form for.
    """
    if not specs:
        raise invalid("Failed to get input map for signature: it has no inputs")
    try:
        if _in_rows(document):
            return _read_instances(document, specs, limits)
        return _read_columns(document["inputs"], specs, limits)
    except RecursionError:
        raise invalid("JSON Parse error: lists or objects are nested too deeply") from None


def _read_instances(document, specs, limits):
    instances = document["instances"]
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {_quote(document)} Expecting 'instances' to be an list/array")
    if not instances:
        raise invalid(f"JSON Value: {_quote(document)} No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(specs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors"
            " required as per tensorinfo_map"
        )
    if any(spec.batched for spec in specs.values()):
        limits.check_rows(len(instances))
    named = _is_object(instances[0])
    flat = {name: [] for name in specs}
    shapes = {}
    for index, instance in enumerate(instances):
        if named != _is_object(instance):
            expected = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {expected} at item {index} of input list")
        if named and instance.keys() != specs.keys():
            unknown = next((name for name in instance if name not in specs), None)
            if unknown is not None:
                raise invalid(
                    f"Failed to process element: {index} key: {unknown} of 'instances' list."
                    " Error: INVALID_ARGUMENT: JSON object: does not have named input:"
                    f" {unknown}"
                )
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object:"
                f" {_quote(instance)} keys must be equal to: {','.join(sorted(specs))}"
            )
        items = instance if named else {next(iter(specs)): instance}
        for name, value in items.items():
            try:
                values, shape = _flatten(value)
                _check_kinds(values, specs[name])
                _check_alike(shape, shapes.setdefault(name, shape))
            except ServingError as error:
                key = f" key: {name}" if named else ""
                raise ServingError(
                    error.code,
                    f"Failed to process element: {index}{key} of 'instances' list. Error:"
                    f" {error.code}: {error.message}",
                ) from None
            flat[name].extend(values)
    return {
        name: _array(name, flat[name], (len(instances), *shapes[name]), spec, limits)
        for name, spec in specs.items()
    }


def _read_columns(inputs, specs, limits):
    if not _is_object(inputs):
        if len(specs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors"
                " required as per tensorinfo_map"
            )
        inputs = {next(iter(specs)): inputs}
    arrays = {}
    for name, spec in specs.items():
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        values, shape = _flatten(inputs[name])
        _check_kinds(values, spec)
        arrays[name] = _array(name, values, shape, spec, limits)
    return arrays


def _is_base64(value):
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_object(value):
    return isinstance(value, dict) and not _is_base64(value)


def _flatten(value):
    """The leaves of nested lists, and the lists' sizes, which must be the same at every level."""
    shape = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > _MAX_RANK:
            raise invalid(f"lists are nested more than {_MAX_RANK} deep")
        first = first[0] if first else None
    flat = [value]
    for level, size in enumerate(shape):
        for item in flat:
            if not isinstance(item, list):
                raise invalid(
                    f"JSON Value: {_quote(item)} found at incorrect level: {level + 1} in the JSON"
                    f" DOM. Expected at level: {len(shape)}"
                )
            if len(item) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(item)} at level: {level} expected"
                    f" size: {size}"
                )
        flat = list(itertools.chain.from_iterable(flat))
    if list in set(map(type, flat)):
        rank = len(shape)
        raise invalid(f"Encountered list at unexpected level: {rank} expected < {rank}")
    return flat, tuple(shape)


def _check_alike(shape, first):
    """Raises INVALID_ARGUMENT unless an instance has the shape of the first one."""
    if math.prod(shape) != math.prod(first):
        raise invalid(f"Expecting tensor size: {math.prod(first)} but got: {math.prod(shape)}")
    if shape != first:
        raise invalid(f"Expecting shape {shape_text(first)} but got: {shape_text(shape)}")


def _check_kinds(values, spec):
    """Raises INVALID_ARGUMENT unless every value is of a JSON type that the tensor takes."""
    if spec.kind == types_pb2.DT_STRING:
        for value in values:
            if isinstance(value, dict) and not _is_base64(value):
                raise invalid(
                    f"JSON Value: {_quote(value)} not formatted correctly for base64 data"
                )
            if not isinstance(value, str | dict):
                raise _wrong_type(value, spec)
        return
    kinds = _JSON_KINDS.get(spec.kind)
    if kinds is None:
        raise ServingError(
            "UNIMPLEMENTED",
            f"Conversion of JSON Value: {_quote(values[0]) if values else '[]'} to type:"
            f" {type_name(spec.kind)}",
        )
    if not kinds.issuperset(map(type, values)):
        raise _wrong_type(next(value for value in values if type(value) not in kinds), spec)
    if int in kinds and float not in kinds and values:
        bounds = np.iinfo(spec.dtype)
        for value in (min(values), max(values)):
            if not bounds.min <= value <= bounds.max:
                raise _wrong_type(value, spec)


def _wrong_type(value, spec):
    kind = _KIND_NAMES.get(type(value), str(value) if isinstance(value, bool) else "Number")
    return invalid(
        f"JSON Value: {_quote(value)} Type: {kind} is not of expected type: {type_name(spec.kind)}"
    )


def _array(name, values, shape, spec, limits):
    """The array of the checked leaves `values`, once its shape is known to be allowed."""
    limits.check(name, shape, spec)
    if spec.kind == types_pb2.DT_STRING:
        array = np.empty(len(values), object)
        array[:] = [_bytes(value) for value in values]
        return array.reshape(shape)
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, spec.dtype)
    except OverflowError:
        array = None
    if array is None or np.isinf(array).any():
        for value in values:
            # A number too large for the type is not the infinity that it would be read as.
            if type(value) is not _Token and not _fits(value, spec):
                raise invalid(
                    f"JSON Parse error: {_quote(value)} is too large for type:"
                    f" {type_name(spec.kind)}"
                )
    return array.reshape(shape)


def _fits(value, spec):
    return abs(value) <= float(np.finfo(spec.dtype).max)


def _bytes(value):
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None
    text = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _quote(value):
    """A value as JSON, cut short."""
    text = ""
    for chunk in json.JSONEncoder().iterencode(value):
        text += chunk[: _QUOTED + 1]
        if len(text) > _QUOTED:
            return text[:_QUOTED] + "…"
    return text


def write_json(outputs, rows):
    """The body of the answer to a predict request.

    Args:
        outputs: output name -> numpy array. One output goes unnamed; the bytes of an output whose
            name ends in `_bytes` are written as base64.
        rows: whether the request was in rows, and so the answer is.

    Returns:
        bytes of JSON. Floats have the fewest digits that read back as the same number of the same
        type; NaN, Infinity and -Infinity are tokens.

    Raises:
        ServingError: INVALID_ARGUMENT if an output cannot be written, or not in rows.
    """
    if rows:
        sizes = {}
        for name, array in outputs.items():
            if not array.ndim:
                raise invalid(f"Tensor name: {name} has no shape information")
            sizes[name] = len(array)
            first = next(iter(sizes.values()))
            if len(array) != first:
                raise invalid(
                    f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting:"
                    f" {first}"
                )
        columns = [_texts(name, array) for name, array in outputs.items()]
        if len(outputs) == 1:
            text = ", ".join(columns[0])
        else:
            names = [json.dumps(name) for name in outputs]
            text = ", ".join(_object(names, row) for row in zip(*columns, strict=True))
        return f'{{"predictions": [{text}]}}'.encode()
    texts = []
    for name, array in outputs.items():
        rows = _texts(name, array)
        texts.append(f"[{', '.join(rows)}]" if array.ndim else rows[0])
    text = texts[0] if len(texts) == 1 else _object([json.dumps(name) for name in outputs], texts)
    return f'{{"outputs": {text}}}'.encode()


def _object(names, texts):
    pairs = zip(names, texts, strict=True)
    return "{" + ", ".join(f"{name}: {text}" for name, text in pairs) + "}"


def _texts(name, array):
    """The JSON of every row of an array; of the value itself if it is a scalar."""
    flat = array.reshape(-1)
    if array.dtype == object:
        if name.endswith("_bytes"):
            texts = [f'{{"b64": "{base64.b64encode(value).decode()}"}}' for value in flat]
        else:
            texts = [json.dumps(value.decode(errors="replace")) for value in flat]
    elif array.dtype == bool:
        texts = ["true" if value else "false" for value in flat]
    elif array.dtype.name in ("float32", "float64"):
        texts = [str(value) for value in flat]
        if not np.isfinite(flat).all():
            tokens = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
            texts = [tokens.get(text, text) for text in texts]
    elif array.dtype.kind in "iu" and array.dtype != np.uint16:
        texts = [str(value) for value in flat.tolist()]
    else:
        kind = tf.as_dtype(array.dtype).as_datatype_enum
        raise invalid(f"Failed to write JSON value for tensor type: {type_name(kind)}")
    for axis in range(array.ndim - 1, 0, -1):
        size = array.shape[axis]
        starts = range(0, len(texts), size) if size else [0] * math.prod(array.shape[:axis])
        texts = [f"[{', '.join(texts[start : start + size])}]" for start in starts]
    return texts
