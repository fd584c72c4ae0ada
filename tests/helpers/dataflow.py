"""Which names a piece of Python uses, binds and changes."""

import ast
from symtable import SymbolTable, symtable


def used_names(code: str, functions_only: bool = False) -> set[str]:
    """Global names that the code reads; with `functions_only`, those that its functions and classes read."""
    table = symtable(code, "<cell>", "exec")
    inner = set().union(*map(_globals_of, table.get_children()))
    return inner if functions_only else inner | {s.get_name() for s in table.get_symbols() if s.is_referenced()}


def _globals_of(table: SymbolTable) -> set[str]:
    own = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return own.union(*map(_globals_of, table.get_children()))


def changed_names(code: str) -> set[str]:
    """Global names that are bound, assigned into, or whose object a statement may change (`x.append(1)`, `fill(x)`)."""
    bound = {s.get_name() for s in symtable(code, "<cell>", "exec").get_symbols() if s.is_assigned() or s.is_imported()}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            bound |= _names(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            bound |= set().union(
                *map(_names, node.value.args), _names(function) if isinstance(function, ast.Attribute) else ()
            )
    return bound


def rebound_names(code: str) -> set[str]:
    """Names that the code binds in any case, whatever they were before."""
    found: set[str] = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {name.id for target in node.targets for name in ast.walk(target)
                      if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}  # fmt: skip
    return found - used_names(code)


def _names(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
