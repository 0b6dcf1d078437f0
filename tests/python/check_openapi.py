"""Checks an OpenAPI description: against the specification, and against what a running Chancel really took and answered.

The one argument is a file of JSON: `document`, the description; `exchanges`, each with `method`, `path` (with its query),
`sent` (a `media` type and, of JSON, the `json`; or null), `status`, `media`, `headers` and `json`. For each exchange it is
checked that the description has the operation, its parameters, its body, its status, its headers and its answer, and
nothing that is there is left out of the description; and then that every operation, parameter, media type and property of
the description was there in some exchange.
"""

import copy
import json
import re
import sys
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

OURS = re.compile(r"x-|ratelimit-|retry-after$")


class Checker:
    def __init__(self, document):
        self.document = document
        self.strict = copy.deepcopy(document)
        close(self.strict)
        self.faults = []
        self.seen = set()

    def lookup(self, reference):
        value = self.strict
        for part in reference.removeprefix("#/").split("/"):
            value = value[part.replace("~1", "/").replace("~0", "~")]
        return value

    def resolved(self, value):
        return self.lookup(value["$ref"]) if "$ref" in value else value

    def validator(self, schema):
        # The whole document goes along, so that references find their way.
        whole = {"components": self.strict["components"], **schema}
        return Draft202012Validator(whole, format_checker=FormatChecker())

    def check(self, schema, value, where):
        """Whether a value is of a schema that has no properties but those that it names; notes which it had."""
        errors = list(self.validator(schema).iter_errors(value))
        for error in errors:
            self.faults.append(f"{where}: {error.json_path}: {error.message[:300]}")
        if not errors:
            self.note(schema, value, where)

    def note(self, schema, value, where):
        while "$ref" in schema:
            where, schema = schema["$ref"], self.lookup(schema["$ref"])
        for branch in schema.get("anyOf", []):
            if self.validator(branch).is_valid(value):
                self.note(branch, value, where)
        if isinstance(value, dict):
            for name, of in schema.get("properties", {}).items():
                if name in value:
                    self.seen.add(f"{where}/{name}")
                    self.note(of, value[name], f"{where}/{name}")
        if isinstance(value, list) and "items" in schema:
            for item in value:
                self.note(schema["items"], item, where)

    def declared(self, schema, where, found):
        """All properties that a schema has, where `note` would note them."""
        while "$ref" in schema:
            where, schema = schema["$ref"], self.lookup(schema["$ref"])
            if where in found:
                return
            found.add(where)
        for branch in schema.get("anyOf", []):
            self.declared(branch, where, found)
        if "items" in schema:
            self.declared(schema["items"], where, found)
        for name, of in schema.get("properties", {}).items():
            found.add(f"{where}/{name}")
            self.declared(of, f"{where}/{name}", found)

    def operation(self, method, path):
        for template, item in self.strict["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(template))
            match = re.fullmatch(pattern, path)
            # A path without a parameter goes before one with.
            if match and method in item and ("{" not in template or path not in self.strict["paths"]):
                return template, item[method], match.groups()
        return None, None, None

    def exchange(self, exchange):
        method, url = exchange["method"].lower(), urlsplit(exchange["path"])
        template, operation, values = self.operation(method, url.path)
        if operation is None:
            self.faults.append(f"{method} {url.path} is not described")
            return
        where = f"{method} {template}"
        good = exchange["status"] < 400
        if good:
            self.parameters(operation, values, parse_qsl(url.query), where)
            self.request(operation, exchange["sent"], f"{where} request")
        self.answer(operation, exchange, f"{where} {exchange['status']}")

    def parameters(self, operation, values, query, where):
        parameters = [self.resolved(parameter) for parameter in operation.get("parameters", [])]
        of = lambda place: {p["name"]: p for p in parameters if p["in"] == place}
        pairs = [(name, value, of("query")) for name, value in query]
        pairs += [(name, value, of("path")) for name, value in zip(of("path"), values)]
        for name, text, known in pairs:
            if name not in known:
                self.faults.append(f"{where}: parameter {name} is not described")
                continue
            schema = known[name]["schema"]
            value = int(text) if self.resolved(schema).get("type") == "integer" else text
            self.check(schema, value, f"{where} parameter {name}")
            self.seen.add(f"{where} parameter {name}")
        names = {name for name, _ in query}
        for name, parameter in of("query").items():
            if parameter.get("required") and name not in names:
                self.faults.append(f"{where}: it went without {name}")

    def request(self, operation, sent, where):
        body = operation.get("requestBody")
        if (body is None) != (sent is None):
            self.faults.append(f"{where}: a body was sent, or described, and not the other")
        elif sent is not None:
            content = body["content"].get(sent["media"])
            if content is None:
                self.faults.append(f"{where}: {sent['media']} is not described")
            else:
                self.seen.add(f"{where} {sent['media']}")
                self.check(content.get("schema", {}), sent.get("json"), where)

    def answer(self, operation, exchange, where):
        response = operation["responses"].get(str(exchange["status"]))
        if response is None:
            self.faults.append(f"{where}: the status is not described")
            return
        response = self.resolved(response)
        self.seen.add(where)
        content = response["content"].get(exchange["media"])
        if content is None:
            self.faults.append(f"{where}: {exchange['media']} is not described")
            return
        self.seen.add(f"{where} {exchange['media']}")
        described = {name.lower(): header for name, header in response["headers"].items()}
        for name, text in exchange["headers"].items():
            if name.lower() in described:
                schema = self.resolved(self.resolved(described[name.lower()])["schema"])
                self.check(schema, int(text) if schema.get("type") == "integer" else text, f"{where} header {name}")
            elif OURS.match(name.lower()):
                self.faults.append(f"{where}: header {name} is not described")
        if "schema" in content:
            self.check(content["schema"], exchange["json"], where)
        if exchange["status"] >= 400:
            code = exchange["json"]["error"]["error_code"]
            if code not in operation["x-error-codes"]:
                self.faults.append(f"{where}: {code} is not among the codes of the operation")

    def everything(self):
        """Where every operation, media type, parameter and property of the document would be noted."""
        found = set()
        for template, item in self.strict["paths"].items():
            for method, operation in item.items():
                where = f"{method} {template}"
                for parameter in map(self.resolved, operation.get("parameters", [])):
                    if parameter["in"] == "query":
                        found.add(f"{where} parameter {parameter['name']}")
                contents = [("request", operation.get("requestBody", {}).get("content", {}))]
                for status, response in operation["responses"].items():
                    if int(status) < 400:
                        found.add(f"{where} {status}")
                        contents.append((status, self.resolved(response)["content"]))
                for place, content in contents:
                    for media, of in content.items():
                        found.add(f"{where} {place} {media}")
                        self.declared(of.get("schema", {}), f"{where} {place}", found)
        return {place for place in found if not re.fullmatch(r"#/components/schemas/\w+", place)}


def close(value):
    """Has every object whose properties are named have no others."""
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict) and value.get("type") == "object":
            value.setdefault("additionalProperties", False)
        for member in value.values():
            close(member)
    elif isinstance(value, list):
        for member in value:
            close(member)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    checker = Checker(given["document"])
    checker.faults += [
        f"the specification: {error.json_path}: {error.message[:300]}"
        for error in OpenAPIV31SpecValidator(given["document"]).iter_errors()
    ]
    for exchange in given["exchanges"]:
        checker.exchange(exchange)
    # What is not as described counts as not seen, so of one fault many others would come.
    faults = checker.faults or [f"{place} was in no exchange" for place in checker.everything() - checker.seen]
    for fault in sorted(set(faults)):
        print(fault)
    if faults:
        return 1
    print(f"{len(given['exchanges'])} exchanges, {len(checker.seen)} places of the description")
    return 0


if __name__ == "__main__":
    sys.exit(main())
