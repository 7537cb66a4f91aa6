"""What the REST API says of bodies that are wrong."""

import json
import math
import random

import pytest

MODEL = "/v1/models/half_plus_three"
PREDICT = f"{MODEL}:predict"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error: Expecting property name enclosed in double quotes at offset: 1"),
        ('{"instances": [1]} x', "JSON Parse error: Extra data at offset: 19"),
        (b'{"instances": ["\xff"]}', "JSON Parse error: not UTF-8 at offset: 16"),
        ('{"instances": ' + "[" * 100_000, "nested too deeply"),
        ('{"instances": ' + "[" * 40 + "]" * 40 + "}", "lists are nested more than 32 deep"),
        ('{"instances": [' + "9" * 5000 + "]}", "JSON Parse error: Exceeds the limit"),
        ('{"instances": [' + "9" * 400 + "]}", "is too large for type: float"),
        ('{"instances": [1e39]}', "1e+39 is too large for type: float"),
        ('{"instances": [1e999]}', "is too large for type: float"),
        ("[1, 2]", "JSON Value: [1, 2] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1], "inputs": [1]}', "expecting only one of 'inputs' or 'instances'"),
        ('{"instances": 1}', "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"signature_name": 1, "inputs": [1]}', "'signature_name' key must be a string value."),
        (
            '{"signature_name": "no", "inputs": [1]}',
            'Serving signature name: "no" not found in signature def',
        ),
        (
            '{"signature_name": "__saved_model_init_op", "inputs": [1]}',
            'Serving signature name: "__saved_model_init_op" not found in signature def',
        ),
        (
            '{"instances": ["a"]}',
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT:"
            ' JSON Value: "a" Type: String is not of expected type: float',
        ),
        ('{"instances": [1, null]}', "element: 1 of 'instances' list."),
        ('{"instances": [1, true]}', "JSON Value: true Type: True is not of expected type: float"),
        ('{"instances": [[1], [1, 2]]}', "Expecting tensor size: 1 but got: 2"),
        ('{"instances": [[[1, 2]], [[1], [2]]]}', "Expecting shape [1,2] but got: [2,1]"),
        ('{"instances": [[[1, 2], [3]]]}', "Encountered list at unexpected size: 1 at level: 1"),
        ('{"instances": [[1, [2]]]}', "Encountered list at unexpected level: 1 expected < 1"),
        ('{"instances": [[[1], 2]]}', "found at incorrect level: 2 in the JSON DOM. Expected at"),
        ('{"instances": [[1, 2]]}', "input 'x' must have shape [-1], got [1,2]"),
        ('{"inputs": 1}', "input 'x' must have shape [-1], got []"),
        ('{"instances": [{"y": 1}]}', "key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON"),
        ('{"instances": [{"x": 1}, 2]}', "Expecting object but got list at item 1 of input list"),
        ('{"instances": [1, {"x": 2}]}', "Expecting value/list but got object at item 1 of input"),
        ('{"inputs": {"y": 1}}', "Missing named input: x in 'inputs' object."),
        (
            '{"signature_name": "pair", "instances": [1]}',
            "instances is a plain list, but expecting list of objects as multiple",
        ),
        (
            '{"signature_name": "pair", "instances": [{"a": [1, 2]}]}',
            "0 of 'instances' list. JSON object: {\"a\": [1, 2]} keys must be equal to: a,b",
        ),
        ('{"signature_name": "pair", "inputs": [1]}', "inputs is a plain value/list, but"),
        (
            '{"signature_name": "pair", "inputs": {"a": [[1, 2]], "b": [1, 2]}}',
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (
            '{"signature_name": "pair", "inputs": {"a": [[1, 2, 3]], "b": [1]}}',
            "input 'a' must have shape [-1,2], got [1,3]",
        ),
        (
            '{"signature_name": "strings", "inputs": {"image_bytes": [{"b64": "*"}], "tag": [""]}}',
            "Unable to base64 decode",
        ),
        (
            '{"signature_name": "strings", "inputs": {"image_bytes": [{"b65": ""}], "tag": [""]}}',
            'JSON Value: {"b65": ""} not formatted correctly for base64 data',
        ),
        (
            '{"signature_name": "strings", "inputs": {"image_bytes": ["\\ud800"], "tag": [""]}}',
            "The surrogate pair in string is invalid.",
        ),
        (
            '{"signature_name": "checked", "inputs": [1.5]}',
            "assertion failed: t must lie in [0, 1] Condition x <= y did not hold element-wise:"
            " x = 1.5 y = 1",
        ),
        ('{"signature_name": "checked", "inputs": [NaN]}', "t must lie in [0, 1]"),
        (json.dumps({"inputs": [1] * 65}), "Task size 65 is larger than maximum input"),
        (json.dumps({"instances": [1] * 65}), "Task size 65 is larger than maximum"),
        (
            json.dumps({"signature_name": "sequence", "inputs": [[1] * 257]}),
            "input 't' of shape [1,257] has a dimension of more than 256, the server's"
            " --max_sequence",
        ),
        (
            json.dumps({"signature_name": "sequence", "inputs": [[1] * 60] * 20}),
            "input 't' of shape [20,60] has 1200 items, more than 1024, the server's --max_items",
        ),
    ],
)
def test_errors_of_bodies(server, body, error):
    status, headers, text = server.ask("POST", PREDICT, body)
    assert (status, headers["Content-Type"]) == (400, "application/json")
    content = json.loads(text)
    assert error in content["error"]
    assert list(content) == ["error"]
    assert "\n" not in content["error"]
    assert "{{" not in content["error"]


def test_types_without_a_form_in_json(predict):
    status, answer = predict(signature_name="halves", inputs=[1])
    assert (status, answer) == (501, {"error": "Conversion of JSON Value: 1 to type: half"})


def mutated(generator):
    """A request's body with something wrong in it, most of the time."""
    values = [None, True, -1, 1.5, 2**70, "", "a", [], {}, [[]], [1], {"b64": "AA=="}, {"b64": 1}]
    values += [[1, [2]], {"x": {"x": 1}}, math.nan, math.inf, "\x00", {"b64": "é"}, [None] * 3]
    names = ["serving_default", "pair", "strings", "checked", "sequence", "types", "halves"]
    names += ["any_rank", "", "none", None, 3]

    def value(depth=0):
        kind = generator.randrange(8)
        if depth < 3 and kind < 3:
            return [value(depth + 1) for _ in range(generator.randrange(4))]
        if depth < 3 and kind == 3:
            keys = generator.sample(["x", "a", "b", "t", "tag", "image_bytes", "b64"], 2)
            return {key: value(depth + 1) for key in keys}
        return generator.choice(values)

    document = {generator.choice(["instances", "inputs", "input"]): value()}
    if generator.random() < 0.8:
        document["signature_name"] = generator.choice(names)
    text = json.dumps(document).encode()
    kind = generator.randrange(6)
    if kind == 0:
        return text[: generator.randrange(len(text))]
    if kind == 1:
        at = generator.randrange(len(text))
        return text[:at] + generator.randbytes(3) + text[at:]
    return text


@pytest.mark.parametrize("seed", range(4))
def test_what_is_malformed_gets_one_clear_line(server, seed):
    generator = random.Random(seed)
    statuses = set()
    for _ in range(100):
        body = mutated(generator)
        status, headers, text = server.ask("POST", PREDICT, body)
        assert status in (200, 400, 501), (body, text)
        assert headers["Content-Type"] == "application/json"
        if status != 200:
            content = json.loads(text)
            assert list(content) == ["error"], body
            assert len(content["error"].splitlines()) == 1, body
            assert "internal" not in content["error"], (body, text)
        statuses.add(status)
    assert 400 in statuses
    status, _, text = server.ask("POST", PREDICT, {"instances": [1.0]})
    assert (status, text) == (200, '{"predictions": [3.5]}')
