"""Which names a piece of Python reads, binds and changes."""

import ast
import builtins
from collections.abc import Set
from symtable import SymbolTable, symtable

_BUILT_IN = frozenset(dir(builtins))


def used_names(code: str, functions_only: bool = False) -> set[str]:
    """Global names that the code mentions; with `functions_only`, those that its functions and classes mention."""
    table = symtable(code, "<cell>", "exec")
    inner = set().union(*map(_globals_of, table.get_children()))
    found = inner if functions_only else inner | {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    return found - _BUILT_IN


def _globals_of(table: SymbolTable) -> set[str]:
    own = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return own.union(*map(_globals_of, table.get_children()))


def bound_names(code: str) -> set[str]:
    return {s.get_name() for s in symtable(code, "<cell>", "exec").get_symbols() if s.is_assigned() or s.is_imported()}


def imported_names(code: str) -> set[str]:
    return {s.get_name() for s in symtable(code, "<cell>", "exec").get_symbols() if s.is_imported()}


def changed_names(code: str, fixed: Set[str] = frozenset()) -> set[str]:
    """Global names that are bound, assigned into, or whose object a statement may change (`x.append(1)`, `fill(x)`).

    `fixed`: names that no call changes: imports of earlier cells, and constants. A last expression that calls one
    of them (`charts.lines(x)`) shows its arguments and does not change them.
    """
    body = ast.parse(code).body
    shown = body[-1] if body and isinstance(body[-1], ast.Expr) and _root(body[-1].value) in fixed else None
    changed: set[str] = set()
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            changed |= _names(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and node is not shown:
            function = node.value.func
            changed |= _names(*node.value.args, *([function] if isinstance(function, ast.Attribute) else []))
    return bound_names(code) | (changed - fixed)


def reads_and_binds(body: list[ast.stmt]) -> tuple[set[str], set[str]]:
    """Names that statements read before they bind them, and names that they bind in any case.

    A loop is taken to run at least once, as the loops of a notebook do.
    """
    reads: set[str] = set()
    binds: set[str] = set()
    for node in body:
        code = ast.unparse(node)
        match node:
            case ast.For() | ast.With():
                heads = [node.iter] if isinstance(node, ast.For) else [item.context_expr for item in node.items]
                targets = [node.target] if isinstance(node, ast.For) else [i.optional_vars for i in node.items]
                inner = _names(*(t for t in targets if t))
                reads |= _names(*heads) - binds
                more, bound = reads_and_binds(node.body)
                reads |= more - inner - binds
                binds |= inner | bound
            case ast.AugAssign() | ast.If() | ast.Try() | ast.While() | ast.Delete():
                reads |= (used_names(code) | bound_names(code)) - binds
            case _:
                reads |= used_names(code) - binds
                binds |= bound_names(code)
    return reads - _BUILT_IN, binds


def _names(*nodes: ast.AST) -> set[str]:
    return {name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)}


def _root(node: ast.AST) -> str | None:
    """The name with which `a.b(c).d[e]` begins: `a`."""
    while not isinstance(node, ast.Name):
        inner = getattr(node, "func", None) or getattr(node, "value", None)
        if not isinstance(inner, ast.AST):
            return None
        node = inner
    return node.id
