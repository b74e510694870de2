"""Reads a JSON list of PromQL expressions; writes the list of their trees, for a test that has no parser of its own."""

import json
import sys

import promql_parser as promql


def matching(modifier):
    """Labels that both sides of an operator have in common, and those that are taken over from one of them."""
    if modifier is None or modifier.matching is None:
        return {}
    is_on = modifier.matching.type == promql.LabelModifierType.Include
    return {"on" if is_on else "ignoring": modifier.matching.labels, "group": modifier.group_labels or []}


def tree(node):
    match node:
        case promql.ParenExpr():
            return tree(node.expr)
        case promql.NumberLiteral():
            return {"kind": "number", "value": node.val}
        case promql.StringLiteral():
            return {"kind": "text", "value": node.val}
        case promql.VectorSelector():
            matchers = [[one.name, str(one.op).rsplit(".", 1)[-1], one.value] for one in node.matchers.matchers]
            return {"kind": "selector", "name": node.name, "matchers": matchers}
        case promql.MatrixSelector():
            return tree(node.vector_selector) | {"range_s": node.range.total_seconds()}
        case promql.Call():
            return {"kind": "call", "name": node.func.name, "parts": [tree(part) for part in node.args]}
        case promql.AggregateExpr():
            by = None
            if node.modifier is not None:
                assert node.modifier.type == promql.AggModifierType.By, "only `by` is understood"
                by = node.modifier.labels
            return {"kind": "aggregate", "name": str(node.op), "by": by or [], "parts": [tree(node.expr)]}
        case promql.BinaryExpr():
            sides = [tree(node.lhs), tree(node.rhs)]
            return {"kind": "operator", "name": str(node.op), "parts": sides} | matching(node.modifier)
    raise TypeError(f"{type(node).__name__} is not understood")


json.dump([tree(promql.parse(expression)) for expression in json.load(sys.stdin)], sys.stdout)
