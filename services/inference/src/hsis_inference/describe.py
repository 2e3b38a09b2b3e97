"""Processes as OGC API Processes describes them."""

from importlib.metadata import version
from typing import Any

from hsis_inference.processes.base import Process, ProcessInputs

JsonObject = dict[str, Any]

CODE_VERSION = version("hsis-inference")
RESULT = "result"
"""The name of the only output of every process."""


def summary(process: Process, origin: str) -> JsonObject:
    """The process summary of the list of processes."""
    here = f"{origin}/processing/processes/{process.id}"
    execute = "http://www.opengis.net/def/rel/ogc/1.0/execute"
    return {
        "id": process.id,
        "title": process.title,
        "description": process.description,
        "version": CODE_VERSION,
        "jobControlOptions": ["async-execute", "dismiss"],
        "outputTransmission": ["reference"],
        "links": [
            {"rel": "self", "href": here, "type": "application/json"},
            {"rel": execute, "href": f"{here}/execution", "title": "Execute"},
        ],
    }


def description(process: Process, origin: str) -> JsonObject:
    """The process with its inputs and its output."""
    output = {
        "title": "Result item",
        "description": "The STAC Item of the result, in the source's collection",
        "schema": {"type": "string", "format": "uri", "contentMediaType": "application/geo+json"},
    }
    return {
        **summary(process, origin),
        "inputs": inputs_of(process.inputs),
        "outputs": {RESULT: output},
    }


def inputs_of(model: type[ProcessInputs]) -> JsonObject:
    """The inputs by name, each with its JSON schema, made of the model that checks them."""
    document = model.model_json_schema()
    required = set(document.get("required", ()))
    definitions = document.get("$defs", {})
    found: JsonObject = {}
    for name, given in document["properties"].items():
        schema = _plain(given, definitions)
        title = schema.pop("title", name)
        text = schema.pop("description", "")
        occurs = {"minOccurs": 1 if name in required else 0, "maxOccurs": 1}
        found[name] = {"title": title, "description": text, "schema": schema, **occurs}
    return found


def _plain(schema: Any, definitions: JsonObject) -> Any:
    """The schema without references, and without null where an input may be left out anyway."""
    if isinstance(schema, list):
        return [_plain(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    made = {key: _plain(value, definitions) for key, value in schema.items()}
    if made.get("default", ...) is None:
        del made["default"]
        choices = [choice for choice in made.get("anyOf", ()) if choice != {"type": "null"}]
        if len(choices) == 1:
            del made["anyOf"]
            made = choices[0] | made
    return made
