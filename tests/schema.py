#!/usr/bin/env python3
"""schema.py SCHEMA DOCUMENT: does the document follow the schema?  The part of JSON Schema that spec/schema/ uses."""
import json, re, sys
root, document = (json.load(open(path)) for path in sys.argv[1:3])
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "definitions", "title", "description", "$ref", "type", "enum", "required", "properties",
         "additionalProperties", "items", "minimum", "minLength", "pattern"}

def is_type(x, t):
    if t in ("integer", "number"):
        return isinstance(x, int if t == "integer" else (int, float)) and not isinstance(x, bool)
    return isinstance(x, TYPES[t])

def wrong(s, x, at):
    assert set(s) <= KNOWN, "a keyword that this check does not know: %s" % (set(s) - KNOWN)
    if "$ref" in s:
        return wrong(root["definitions"][s["$ref"].rsplit("/", 1)[1]], x, at)
    types = s.get("type", [])
    if types and not any(is_type(x, t) for t in ([types] if isinstance(types, str) else types)):
        return at + ": not of type %s" % types
    if "enum" in s and x not in s["enum"]:
        return at + ": %r" % x
    if isinstance(x, str) and (len(x) < s.get("minLength", 0) or not re.search(s.get("pattern", ""), x)):
        return at + ": %r" % x
    if isinstance(x, (int, float)) and not isinstance(x, bool) and x < s.get("minimum", x):
        return at + ": %r" % x
    if isinstance(x, dict):
        named, others = s.get("properties", {}), s.get("additionalProperties", False)
        if set(s.get("required", [])) - set(x) or (others is False and set(x) - set(named)):
            return at + ": fields are %s" % sorted(x)
        return next(filter(None, (wrong(named.get(k, others), x[k], at + "." + k) for k in x)), None)
    if isinstance(x, list):
        return next(filter(None, (wrong(s["items"], y, "%s[%d]" % (at, i)) for i, y in enumerate(x))), None)

if __name__ == "__main__":
    found = wrong(root, document, "document")
    if found:
        sys.exit(found)
