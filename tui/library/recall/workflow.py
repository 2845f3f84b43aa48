"""ComfyUI's editor's graph in the form of the API's: what the editor itself leaves out is followed to what is behind.

Its rules are the editor's. A bypassed node hands on its input of the type that is asked for; a muted one gives nothing.
Reroutes and the Get and Set nodes stand for what they are connected to, a primitive for its value; of a subgraph, the
nodes inside are the graph's own, called by the place's name and theirs with a colon between.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, field

from tui.library.recall.found import listed
from tui.library.recall.workflow_values import OWN, shown_values, values_of

MAX_NODES: Final = 20_000
MAX_STEPS: Final = 64
"""Links that are followed from one input, and subgraphs inside one another."""

BYPASSED: Final = 4
MUTED: Final = 2
_INPUTS_OF_SUBGRAPH: Final = -10
"""The id of the node in a subgraph that hands on what its place is given."""
_PASSING: Final = re.compile(r"^Reroute\b|^SetNode$")
_ANY: Final = ("*", "", None)

Node = dict[str, Any]


class _Scope(Struct, frozen=True, eq=False):
    """One graph: the workflow's own, or a subgraph in one place."""

    prefix: str
    nodes: dict[str, Node]
    links: dict[int, tuple[str, int]]
    """By their ids, the node and the number of its output that they come from."""
    outputs: list[Node]
    """Of a subgraph, with the links inside that they come from."""
    set: dict[str, object]
    """The links into its Set nodes, by their names."""
    outer: "_Scope | None" = None
    """For a subgraph: the graph that it stands in."""
    given: list[Node] = field(default_factory=list)
    """The inputs of its place there, in the order of its own."""
    shown: dict[str, Node] = field(default_factory=dict)
    """The values that its place holds, as :func:`shown_values` tells them."""
    inner: "dict[str, _Scope]" = field(default_factory=dict)
    """The subgraphs in its nodes."""


def nodes_of_workflow(workflow: Node) -> dict[str, Node]:
    """The nodes that make something, by their ids, with their inputs by name; what no API graph tells is left out."""
    told = workflow.get("definitions")
    subgraphs = {
        str(one.get("id")): one
        for one in listed(told.get("subgraphs") if isinstance(told, dict) else None)
        if isinstance(one, dict)
    }
    found: dict[str, Node] = {}
    for scope in _scopes(workflow, subgraphs):
        for name, node in scope.nodes.items():
            if len(found) < MAX_NODES and name not in scope.inner and not _is_of_the_editor(node):
                found[scope.prefix + name] = {"class_type": str(node.get("type", "")), "inputs": _inputs(scope, node)}
    return found


def _scopes(workflow: Node, subgraphs: Mapping[str, Node]) -> Iterator[_Scope]:
    """The workflow's own graph and every subgraph in its place."""
    waiting, left = [_scope(workflow, "")], MAX_NODES
    while waiting:
        scope = waiting.pop(0)
        yield scope
        for name, node in scope.nodes.items():
            kind = str(node.get("type", ""))
            if kind not in subgraphs or node.get("mode") in (BYPASSED, MUTED) or scope.prefix.count(":") >= MAX_STEPS:
                continue
            inner = _scope(subgraphs[kind], f"{scope.prefix}{name}:", scope, node)
            left -= len(inner.nodes) + 1
            if left < 0:
                return
            scope.inner[name] = inner
            waiting.append(inner)


def _scope(graph: Node, prefix: str, outer: _Scope | None = None, place: Node | None = None) -> _Scope:
    nodes = {str(node.get("id")): node for node in listed(graph.get("nodes"))[:MAX_NODES] if isinstance(node, dict)}
    links: dict[int, tuple[str, int]] = {}
    for link in listed(graph.get("links")):
        if isinstance(link, dict):  # in subgraphs
            link = [link.get("id"), link.get("origin_id"), link.get("origin_slot")]
        if isinstance(link, list) and len(link) >= 3 and isinstance(link[0], int) and isinstance(link[2], int):
            links[link[0]] = (str(link[1]), link[2])
    setters = {
        str(listed(node.get("widgets_values"))[:1]): next((one.get("link") for one in _entries(node, "inputs")), None)
        for node in reversed(nodes.values())
        if node.get("type") == "SetNode"
    }
    outputs = _entries(graph, "outputs")
    if place is None:
        return _Scope(prefix, nodes, links, outputs, setters)
    named = {str(entry.get("name")): entry for entry in reversed(_entries(place, "inputs"))}
    given = [named.get(str(entry.get("name")), {}) for entry in _entries(graph, "inputs")]
    shown = shown_values(place) or {OWN: values_of(place)}
    return _Scope(prefix, nodes, links, outputs, setters, outer, given, shown)


def _is_of_the_editor(node: Node) -> bool:
    """Whether the editor leaves `node` out of what it hands to the API."""
    kind = str(node.get("type", ""))
    return node.get("mode") in (BYPASSED, MUTED) or kind in ("GetNode", "PrimitiveNode") or bool(_PASSING.match(kind))


def _inputs(scope: _Scope, node: Node) -> Node:
    """The inputs of `node` by name: its own values, and over them what it is given."""
    inputs = values_of(node) | scope.shown.get(str(node.get("id")), {})
    for entry in _entries(node, "inputs"):
        if isinstance(entry.get("link"), int):
            given = _followed(scope, entry["link"], entry.get("type"))
            if given is not None:
                inputs[str(entry.get("name"))] = given
    return inputs


def _entries(node: Node, name: str) -> list[Node]:
    return [entry for entry in listed(node.get(name)) if isinstance(entry, dict)]


def _followed(scope: _Scope, link: object, kind: object) -> object:
    """What comes through `link`: a node and its output, or a value; None where nothing does."""
    for _ in range(MAX_STEPS):
        if not isinstance(link, int) or link not in scope.links:
            return None
        name, slot = scope.links[link]
        if name == str(_INPUTS_OF_SUBGRAPH):
            entry = scope.given[slot] if 0 <= slot < len(scope.given) else {}
            if entry.get("link") is None or scope.outer is None:
                return scope.shown.get(OWN, {}).get(str(entry.get("name")))
            scope, link = scope.outer, entry["link"]
            continue
        node = scope.nodes.get(name, {})
        if node.get("mode") == MUTED or not node:
            return None
        if node.get("mode") == BYPASSED:
            link = _passed_on(node, slot, kind)
        elif name in scope.inner:
            scope = scope.inner[name]
            inside = listed(scope.outputs[slot].get("linkIds")) if 0 <= slot < len(scope.outputs) else []
            link = inside[0] if inside else None
        elif node.get("type") == "PrimitiveNode":
            values = listed(node.get("widgets_values"))
            return values[0] if values else None
        elif node.get("type") == "GetNode":
            link = scope.set.get(str(listed(node.get("widgets_values"))[:1]))
        elif _PASSING.match(str(node.get("type", ""))):
            link = next((entry.get("link") for entry in _entries(node, "inputs")), None)
        else:
            return [scope.prefix + name, slot]
    return None


def _passed_on(node: Node, slot: int, kind: object) -> object:
    """The link that a bypassed node hands on as its output number `slot`, to an input of type `kind`."""
    inputs, outputs = _entries(node, "inputs"), _entries(node, "outputs")
    if not inputs:
        return None
    across = inputs[slot] if 0 <= slot < len(inputs) else None
    if kind in _ANY:
        return (across or inputs[0]).get("link")
    given = outputs[slot].get("type") if 0 <= slot < len(outputs) else kind
    if across is not None and _fit(across.get("type"), given) and _fit(across.get("type"), kind):
        return across.get("link")
    exact = (entry for entry in inputs if entry.get("type") == kind)
    fitting = (entry for entry in inputs if _fit(entry.get("type"), given) and _fit(entry.get("type"), kind))
    return next(exact, next(fitting, {})).get("link")


def _fit(one: object, other: object) -> bool:
    """Whether the editor connects these types: each may be a list, or any."""
    if one in _ANY or other in _ANY:
        return True
    mine, theirs = (set(str(kind).lower().split(",")) for kind in (one, other))
    return bool(mine & theirs)
