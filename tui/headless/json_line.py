"""Values as JSON for standard output, where a terminal may be listening."""

import json

import msgspec


def json_line(value: object) -> str:
    """`value` as one line of JSON in ASCII: what foreign text could tell a terminal is escaped."""
    return json.dumps(msgspec.to_builtins(value))
