"""What JSON Schema and HTTP cannot say, said to schemathesis: how members go together across places.

Only requests that are meant to be right are touched, but for deadlines: one of a millisecond is answered 504, as it should
be, and would hide every other answer.
"""

import json

import schemathesis
from schemathesis import GenerationMode

TIMEOUT = "x-request-timeout-ms"
JSON_BYTES = "inference-header-content-length"
LINES = ("application/x-ndjson", "application/jsonl")


@schemathesis.serializer(*LINES)
def one_line(context, value):
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.deserializer(*LINES)
def the_line(context, response):
    return json.loads(response.content)


@schemathesis.hook
def before_call(context, case, kwargs):
    patient(case)
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if case.operation.path.endswith("/infer"):
        if case.media_type == "application/octet-stream":
            binary(case)
        else:
            (case.headers or {}).pop(JSON_BYTES, None)
            shape(case.body)


def patient(case):
    for name in list(case.headers or {}):
        if name.lower() == TIMEOUT and str(case.headers[name]).isascii() and str(case.headers[name]).isdigit():
            case.headers[name] = str(max(30000, int(case.headers[name])))
    parameters = case.body.get("parameters") if isinstance(case.body, dict) else None
    timeout = parameters.get("timeout") if isinstance(parameters, dict) else None
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 0 < timeout < 30_000_000:
        parameters["timeout"] = 30_000_000


def shape(body):
    """As many elements as there are."""
    tensor = body["inputs"][0]
    tensor["shape"][0] = len(tensor["data"])


def binary(case):
    """One text, behind the JSON that says how long it is."""
    element = len(text := "I can't believe we won!".encode()).to_bytes(4, "little") + text
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(element)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    case.headers[JSON_BYTES] = str(len(head))
    case.body = head + element
