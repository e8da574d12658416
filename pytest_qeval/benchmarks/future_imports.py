"""`from __future__` in a program that no longer stands at the beginning of its file, where alone it is allowed."""

from __future__ import annotations

import ast

from pytest_qeval.benchmarks.python_source import parsed

__all__ = ["without_future_imports"]


def without_future_imports(code: str) -> str:
    """Say the same without imports from `__future__`; a program that has none stays as it is.

    Annotations become strings, which is what the only such import that still does something makes of them (PEP 563).
    """
    module = parsed(code)
    imports = [node for node in module.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if not imports:
        return code
    try:
        if any(alias.name == "annotations" for node in imports for alias in node.names):
            module = _Quoted().visit(module)
        module.body = [node for node in module.body if node not in imports]
        return f"{ast.unparse(ast.fix_missing_locations(module))}\n"
    except RecursionError:  # what is nested so deeply is left as it is, and will not compile
        return code


class _Quoted(ast.NodeTransformer):
    """Turns annotations into strings of their source."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = _quoted(node.annotation)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        self.generic_visit(node)
        node.annotation = _quoted(node.annotation) or node.annotation
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = _quoted(node.returns)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        self.generic_visit(node)
        node.returns = _quoted(node.returns)
        return node


def _quoted(annotation: ast.expr | None) -> ast.expr | None:
    return annotation and ast.Constant(ast.unparse(annotation))
