"""Evaluates the part of PromQL that the alerts use, over two scrapes: one now, and one at the beginning of each window.

Parsed by promql-parser; what is not known here is an error, never a guess.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import promql_parser as parser
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]

#: How long ago the earlier scrape was, in seconds.
WINDOW_S: Final = 900.0
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt, "<": operator.lt, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
_COUNT: Final[Mapping[str, Callable[[float, float], float]]] = {
    "*": operator.mul, "+": operator.add, "-": operator.sub,
    "/": lambda one, other: one / other if other else float("nan"),
}  # fmt: skip
_GATHER: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {"max": max, "min": min, "sum": sum}


@dataclass(frozen=True)
class Scrapes:
    """The samples of two scrapes, by name."""

    before: Mapping[str, Vector]
    now: Mapping[str, Vector]


def scrape(text: str, **target: str) -> dict[str, Vector]:
    """Return the samples of a page of metrics, each with the labels of its target."""
    found: dict[str, Vector] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = frozenset({**sample.labels, **target}.items())
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def names(expression: str) -> set[str]:
    """Return the metrics that a query names, and the labels that it goes by."""
    return {node.name for node in _walk(parser.parse(expression)) if isinstance(node, parser.VectorSelector)}


def evaluate(expression: str, scrapes: Scrapes) -> Vector:
    """Return what the query gives now; empty means that an alert does not fire."""
    found = _value(parser.parse(expression), scrapes)
    assert isinstance(found, dict)
    return found


def _walk(node: Any) -> Iterable[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (inner := getattr(node, name, None)) is not None:
            yield from _walk(inner)
    for inner in getattr(node, "args", None) or ():
        yield from _walk(inner)


def _value(node: Any, scrapes: Scrapes) -> Vector | float:
    match type(node).__name__:
        case "NumberLiteral":
            return float(node.val)
        case "ParenExpr":
            return _value(node.expr, scrapes)
        case "VectorSelector":
            return _selected(node, scrapes.before if node.offset else scrapes.now)
        case "AggregateExpr":
            return _gathered(node, scrapes)
        case "BinaryExpr":
            return _combined(node, scrapes)
        case "Call":
            return _called(node, scrapes)
    message = f"{type(node).__name__} is not known here"
    raise NotImplementedError(message)


def _selected(node: Any, samples: Mapping[str, Vector]) -> Vector:
    return {
        labels: value
        for labels, value in samples.get(node.name, {}).items()
        if all(_matches(matcher, dict(labels)) for matcher in node.matchers.matchers)
    }


def _matches(matcher: Any, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    match str(matcher.op).rpartition(".")[2]:
        case "Equal":
            return bool(value == matcher.value)
        case "NotEqual":
            return bool(value != matcher.value)
        case "Re":
            return re.fullmatch(matcher.value, value) is not None
        case "NotRe":
            return re.fullmatch(matcher.value, value) is None
    raise NotImplementedError(str(matcher.op))


def _gathered(node: Any, scrapes: Scrapes) -> Vector:
    inner = _value(node.expr, scrapes)
    assert isinstance(inner, dict)
    kind, by = re.fullmatch(r"(\w+) \(([^)]*)\)", str(node.modifier)).groups()  # type: ignore[union-attr]
    assert kind == "by"
    kept = {name.strip() for name in by.split(",")}
    groups: dict[Labels, list[float]] = {}
    for labels, value in inner.items():
        groups.setdefault(frozenset(pair for pair in labels if pair[0] in kept), []).append(value)
    return {labels: _GATHER[str(node.op)](values) for labels, values in groups.items()}


def _combined(node: Any, scrapes: Scrapes) -> Vector | float:
    left, right, word = _value(node.lhs, scrapes), _value(node.rhs, scrapes), str(node.op)
    if word == "and":
        assert isinstance(left, dict)
        assert isinstance(right, dict)
        on = re.fullmatch(r"on \(([^)]*)\)", str(node.modifier).strip()) if node.modifier else None
        kept = {name.strip() for name in on[1].split(",")} if on else None
        sides = {_kept(labels, kept) for labels in right}
        return {labels: value for labels, value in left.items() if _kept(labels, kept) in sides}
    if isinstance(left, float):
        assert isinstance(right, dict)
        return {labels: _COUNT[word](left, value) for labels, value in right.items()}
    others = dict.fromkeys(left, right) if isinstance(right, float) else right
    known = [(labels, value, others[labels]) for labels, value in left.items() if labels in others]
    if word in _COMPARE:
        return {labels: value for labels, value, other in known if _COMPARE[word](value, other)}
    return {labels: _COUNT[word](value, other) for labels, value, other in known}


def _kept(labels: Labels, names: set[str] | None) -> Labels:
    return labels if names is None else frozenset(pair for pair in labels if pair[0] in names)


def _called(node: Any, scrapes: Scrapes) -> Vector:
    name = node.func.name
    if name == "absent":
        return {} if _value(node.args[0], scrapes) else {frozenset(): 1.0}
    assert name in {"increase", "delta", "rate"}, name
    selector = node.args[0].vector_selector
    before, now = _selected(selector, scrapes.before), _selected(selector, scrapes.now)
    span_s = WINDOW_S if name == "rate" else 1.0
    # A series that is new has no earlier value, so Prometheus sees no increase either.
    return {labels: (value - before.get(labels, value)) / span_s for labels, value in now.items()}
