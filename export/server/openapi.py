"""The REST API in OpenAPI 3.1, with the signatures of the model that is served.

https://spec.openapis.org/oas/v3.1.1 ; schemas are JSON Schema 2020-12. TensorFlow Serving has no
such page: what it describes is the API that both have, and the limits of this server.
"""

import math
import urllib.parse

from tensorflow.core.framework import types_pb2

from export.server.errors import ServingError
from export.server.servable import DEFAULT_SIGNATURE

_BASE64 = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "required": ["b64"],
    "additionalProperties": False,
}
_LEAVES = {
    types_pb2.DT_BOOL: {"type": "boolean"},
    types_pb2.DT_FLOAT: {"type": "number"},
    types_pb2.DT_DOUBLE: {"type": "number"},
    types_pb2.DT_STRING: {"anyOf": [{"type": "string"}, _BASE64]},
}
_INTEGERS = ("DT_INT8", "DT_UINT8", "DT_INT16", "DT_INT32", "DT_UINT32", "DT_INT64", "DT_UINT64")
_LEAVES.update({types_pb2.DataType.Value(name): {"type": "integer"} for name in _INTEGERS})

_ERRORS = {
    "400": "The request is wrong, and the answer says where.",
    "401": "The token is missing or wrong.",
    "404": "There is no such model, version or page.",
    "408": "The body did not arrive in time.",
    "413": "The body is larger than --max_request_mb.",
    "429": "More requests than --max_requests_per_second.",
    "501": "JSON has no form for a tensor of this type.",
    "503": "Too many requests at once; try again later.",
}


def describe(predictor, *, metrics_path, demo, wants_token):
    """The description as a dict.

    Args:
        predictor: a `predict.Predictor`; the signatures are those of its newest version.
        metrics_path: where the page of metrics is; None for no page.
        demo: whether there are samples.
        wants_token: whether a client has to show a token.

    Raises:
        ServingError: no version is available.
    """
    servable = predictor.newest()
    signatures = []
    for name in sorted(servable.definitions):
        try:
            signatures.append(servable.signature(name))
        except ServingError:  # Such as one whose tensors are not dense; it cannot be called.
            continue
    paths = {}
    model = f"/v1/models/{urllib.parse.quote(predictor.name, safe='')}"
    for path, parameters in (
        (model, []),
        (
            f"{model}/versions/{{version}}",
            [_parameter("version", {"type": "integer", "minimum": 0})],
        ),
        (f"{model}/labels/{{label}}", [_parameter("label", {"type": "string", "minLength": 1})]),
    ):
        more = {"parameters": parameters} if parameters else {}
        status = _answers("The state of the versions.", _reference("Status"))
        paths[path] = {**more, "get": status}
        metadata = _answers("The signatures.", _reference("Metadata"))
        paths[f"{path}/metadata"] = {**more, "get": metadata}
        content = {"application/json": {"schema": _reference("Request")}}
        predict = _answers("The outputs.", _reference("Response"))
        predict["requestBody"] = {"required": True, "content": content}
        paths[f"{path}:predict"] = {**more, "post": predict}
    paths["/openapi.json"] = {"get": _answers("This page.", {"type": "object"})}
    if metrics_path:
        text = _answers("Metrics for Prometheus.", {"type": "string"}, "text/plain")
        paths[metrics_path] = {"get": text}
    if demo:
        paths["/samples.json"] = {
            "get": _answers("Names of pictures or lines to try.", _reference("Samples"))
        }
        picture = _answers("A picture to try; of a model of text a line.", {}, "image/png")
        parameters = [_parameter("name", {"type": "string", "minLength": 1})]
        paths["/samples/{name}"] = {"parameters": parameters, "get": picture}
    limits = predictor.limits
    schemas = {
        "Error": _object({"error": {"type": "string"}}),
        "Status": _object({"model_version_status": {"type": "array", "items": _VERSION}}),
        "Metadata": _object({"model_spec": {"type": "object"}, "metadata": {"type": "object"}}),
        "Request": {"anyOf": [form for each in signatures for form in _requests(each, limits)]},
        "Response": {"anyOf": [form for each in signatures for form in _responses(each)]},
    }
    if demo:
        names = {"type": "array", "items": {"type": "string"}}
        schemas["Samples"] = _object({"model": {"type": "string"}, "samples": names})
    description = {
        "openapi": "3.1.0",
        "info": {"title": f"Model {predictor.name}", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    if wants_token:
        bearer = {"type": "http", "scheme": "bearer"}
        description["components"]["securitySchemes"] = {"token": bearer}
        description["security"] = [{"token": []}]
    return description


_VERSION = {
    "type": "object",
    "properties": {
        "version": {"type": "string"},
        "state": {"enum": ["UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
        "status": {"type": "object"},
    },
    "required": ["version", "state", "status"],
}


def _reference(name):
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name, schema):
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _object(properties):
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _answers(text, schema, content_type="application/json"):
    """An operation: its answer, and the errors that any may end with."""
    error = {"application/json": {"schema": _reference("Error")}}
    responses = {"200": {"description": text, "content": {content_type: {"schema": schema}}}}
    for status, reason in _ERRORS.items():
        responses[status] = {"description": reason, "content": error}
    return {"summary": text, "responses": responses}


def _requests(signature, limits):
    """The forms of a request for a signature: in rows, if it has any, and in columns."""
    if not signature.inputs or any(spec.kind not in _LEAVES for spec in signature.inputs.values()):
        return
    name = {"signature_name": {"const": signature.name}}
    # Without a name it is the default signature's.
    required = [] if signature.name == DEFAULT_SIGNATURE else ["signature_name"]
    forms = {"inputs": _named(signature.inputs, limits)}
    if signature.batched:
        rows = _list(_named(signature.inputs, limits, rows=True), 1, limits.max_batch)
        forms["instances"] = rows
    for key, schema in forms.items():
        yield {
            "type": "object",
            "properties": {**name, key: schema},
            "required": [*required, key],
            "not": {"required": ["inputs" if key == "instances" else "instances"]},
        }


def _responses(signature):
    """The forms of an answer of a signature."""
    forms = {"outputs": _named(signature.outputs, outputs=True)}
    if all(spec.shape is None or spec.shape for spec in signature.outputs.values()):
        row = _named(signature.outputs, rows=True, outputs=True)
        forms["predictions"] = {"type": "array", "items": row}
    for key, schema in forms.items():
        yield _object({key: schema})


def _named(specs, limits=None, rows=False, outputs=False):
    """An object of tensors by their names, or the value alone of a single one."""
    tensors = {
        name: _tensor(spec, limits, rows, name.endswith("_bytes") if outputs else None)
        for name, spec in specs.items()
    }
    if len(tensors) > 1:
        return _object(tensors)
    (value,) = tensors.values()
    return value if outputs else {"anyOf": [_object(tensors), value]}


def _tensor(spec, limits, row, binary):
    """The nested lists of a tensor, or of a row of it.

    `binary` says whether an output's strings are base64; for an input, which may be either, None.
    """
    if spec.shape is None:
        return {}
    schema = _LEAVES.get(spec.kind, {})
    if spec.kind == types_pb2.DT_STRING and binary is not None:
        schema = _BASE64 if binary else {"type": "string"}
    for axis in reversed(range(int(row), len(spec.shape))):
        size = spec.shape[axis]
        most = math.inf
        if limits:
            most = limits.max_sequence if axis else limits.max_batch
        schema = _list(schema, size or 0, most if size is None else size)
    return schema


def _list(items, least, most):
    bounds = {"minItems": least} | ({} if math.isinf(most) else {"maxItems": most})
    return {"type": "array", "items": items, **bounds}
