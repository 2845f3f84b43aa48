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
from tui.library.recall.workflow_values import shown_values, values_of

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
    definition: Node
    place: "tuple[_Scope, Node] | None" = None
    """For a subgraph: the graph that it stands in, and the node there."""
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
    waiting, left = [_scope(workflow, "", None)], MAX_NODES
    while waiting:
        scope = waiting.pop(0)
        yield scope
        for name, node in scope.nodes.items():
            kind = str(node.get("type", ""))
            if kind not in subgraphs or node.get("mode") in (BYPASSED, MUTED) or scope.prefix.count(":") >= MAX_STEPS:
                continue
            inner = _scope(subgraphs[kind], f"{scope.prefix}{name}:", (scope, node))
            left -= len(inner.nodes) + 1
            if left < 0:
                return
            scope.inner[name] = inner
            waiting.append(inner)


def _scope(graph: Node, prefix: str, place: tuple[_Scope, Node] | None) -> _Scope:
    nodes = {str(node.get("id")): node for node in listed(graph.get("nodes"))[:MAX_NODES] if isinstance(node, dict)}
    links: dict[int, tuple[str, int]] = {}
    for link in listed(graph.get("links")):
        if isinstance(link, dict):  # in subgraphs
            link = [link.get("id"), link.get("origin_id"), link.get("origin_slot")]
        if isinstance(link, list) and len(link) >= 3 and isinstance(link[0], int) and isinstance(link[2], int):
            links[link[0]] = (str(link[1]), link[2])
    return _Scope(prefix, nodes, links, graph, place)


def _is_of_the_editor(node: Node) -> bool:
    """Whether the editor leaves `node` out of what it hands to the API."""
    kind = str(node.get("type", ""))
    return node.get("mode") in (BYPASSED, MUTED) or kind in ("GetNode", "PrimitiveNode") or bool(_PASSING.match(kind))


def _inputs(scope: _Scope, node: Node) -> Node:
    """The inputs of `node` by name: its own values, and over them what it is given."""
    inputs = values_of(node)
    if scope.place is not None:
        inputs |= shown_values(scope.place[1]).get(str(node.get("id")), {})
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
            if scope.place is None:
                return None
            outer, node = scope.place
            entry = _entry_called(node, scope.definition, slot)
            if entry.get("link") is None:
                return values_of(node).get(str(entry.get("name")))
            scope, link = outer, entry["link"]
            continue
        node = scope.nodes.get(name, {})
        if node.get("mode") == MUTED or not node:
            return None
        if node.get("mode") == BYPASSED:
            link = _passed_on(node, slot, kind)
        elif name in scope.inner:
            scope = scope.inner[name]
            link = _inside(scope.definition, slot)
        elif node.get("type") == "PrimitiveNode":
            values = listed(node.get("widgets_values"))
            return values[0] if values else None
        elif node.get("type") == "GetNode":
            link = _set_elsewhere(scope, node)
        elif _PASSING.match(str(node.get("type", ""))):
            link = next((entry.get("link") for entry in _entries(node, "inputs")), None)
        else:
            return [scope.prefix + name, slot]
    return None


def _entry_called(place: Node, definition: Node, slot: int) -> Node:
    """The input of a subgraph's `place` that its inner nodes see as the number `slot`."""
    names = [entry.get("name") for entry in _entries(definition, "inputs")]
    name = names[slot] if 0 <= slot < len(names) else None
    return next((entry for entry in _entries(place, "inputs") if entry.get("name") == name), {})


def _inside(definition: Node, slot: int) -> object:
    """The link inside a subgraph that its output number `slot` comes from."""
    outputs = _entries(definition, "outputs")
    ids = listed(outputs[slot].get("linkIds")) if 0 <= slot < len(outputs) else []
    return ids[0] if ids else None


def _set_elsewhere(scope: _Scope, getter: Node) -> object:
    """The link into the Set node whose name `getter` has, in its graph or one around it."""
    wanted = listed(getter.get("widgets_values"))[:1]
    for node in scope.nodes.values():
        if node.get("type") == "SetNode" and wanted and listed(node.get("widgets_values"))[:1] == wanted:
            return next((entry.get("link") for entry in _entries(node, "inputs")), None)
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
