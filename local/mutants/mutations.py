"""The changes: which mutants a module has. Each one changes one place of its syntax tree.

Left out: annotations, docstrings, decorators, the texts of ValueErrors (they end in a `Reason` or in a sentence that is
held by its reason, not its words), what a setting is for (tests/test_docs.py compares it with docs/settings.md), and
imports for type checkers.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple

SWAPS: dict[type[ast.AST], list[Any]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.BitOr: [ast.BitAnd],
    ast.BitAnd: [ast.BitOr],
    ast.LShift: [ast.RShift],
}
_PAIRS = (
    *(("min", "max"), ("any", "all"), ("startswith", "endswith"), ("partition", "rpartition")),
    *(("removeprefix", "removesuffix"), ("lower", "upper"), ("fullmatch", "search")),
)
NAMES = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
NO_VALUES = {"cast", "TypeVar", "ValueError", "NewType"}  # calls whose texts nothing depends on
LEFT_OUT = {"annotation", "returns", "decorator_list", "bases", "keywords_of_class"}
_REPEAT = re.compile(r"(?<=[{,])([0-9]+)(?=[,}])")
_NOT_NEGATED_ELSEWHERE = (ast.Name, ast.Attribute, ast.Call, ast.NamedExpr)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WIDTH = 110


class Place(NamedTuple):
    """Where a node hangs: `node.field`, or `node.field[at]`."""

    node: ast.AST
    field: str
    at: int | None

    def put(self, child: object) -> None:
        if self.at is None:
            setattr(self.node, self.field, child)
        else:
            getattr(self.node, self.field)[self.at] = child


class Mutant(NamedTuple):
    """One change. `name` says it in words that hold when lines move; `lines` are those of its statement."""

    name: str
    lines: range
    in_function: bool
    place: Place
    old: ast.AST
    new: ast.AST


class Module:
    """A module's source and its mutants."""

    def __init__(self, path: str, source: str) -> None:
        self.path, self._tree = path, ast.parse(source)
        self._names: Counter[str] = Counter()
        self.mutants = list(self._mutants(self._tree, Place(self._tree, "body", None), [], None))

    def code(self, mutant: Mutant | None = None) -> CodeType:
        """The module, with this change if there is one."""
        if mutant is None:
            return compile(self._tree, self.path, "exec")
        mutant.place.put(mutant.new)
        try:
            return compile(ast.fix_missing_locations(self._tree), self.path, "exec")
        finally:
            mutant.place.put(mutant.old)

    def _mutants(self, node: ast.AST, place: Place, scope: list[ast.AST], inside: ast.stmt | None) -> Iterator[Mutant]:
        if isinstance(node, ast.stmt):
            inside = node
        if _is_left_out(node):
            return
        for new in variants(node) if inside else ():
            yield self._mutant(node, new, place, scope, inside)
        named = isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda))
        for child_place, child in _children(node):
            deeper = [*scope, node] if named and child_place.field == "body" else scope
            yield from self._mutants(child, child_place, deeper, inside)

    def _mutant(
        self, node: ast.AST, new: ast.AST, place: Place, scope: list[ast.AST], inside: ast.stmt | None
    ) -> Mutant:
        assert inside is not None  # noqa: S101 - no expression stands outside of a statement
        ast.copy_location(new, node)
        where = ".".join(one.name for one in scope if not isinstance(one, ast.Lambda))  # type: ignore[attr-defined]  # they have names
        old_text, new_text, statement = _text(node), _text(new), _text(inside)
        name = f"{where or 'module'}: {old_text} → {new_text}" + (f" in {statement}" if node is not inside else "")
        self._names[name] += 1
        number = f" #{self._names[name]}" if self._names[name] > 1 else ""
        in_function = any(isinstance(one, (*_FUNCTIONS, ast.Lambda)) for one in scope)
        last = node.end_lineno if hasattr(node, "end_lineno") else inside.end_lineno
        lines = range(getattr(node, "lineno", inside.lineno), (last or inside.lineno) + 1)
        return Mutant(name + number, lines, in_function, place, node, new)


def _children(node: ast.AST) -> Iterator[tuple[Place, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in LEFT_OUT:
            continue
        if isinstance(value, ast.AST):
            yield Place(node, field, None), value
        elif isinstance(value, list):
            kept = value[:2] if field == "args" and _is_a_setting(node) else value
            yield from ((Place(node, field, at), one) for at, one in enumerate(kept) if isinstance(one, ast.AST))


def _is_a_setting(node: ast.AST) -> bool:
    """Whether it is an entry of the table in config.py, whose third argument says what the setting is for."""
    match node:
        case ast.Call(func=ast.Name(id="_setting")):
            return True
    return False


def _is_left_out(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.MatchValue():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Subscript(value=ast.Name(id="Literal")):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in NO_VALUES
    return False


def _text(node: ast.AST) -> str:
    """The first line of a node's source, cut."""
    line = ast.unparse(node).partition("\n")[0]
    line = line.replace('"', "'").replace("\\'", "'")  # Python 3.11 and 3.12 quote differently inside f-strings
    return line if len(line) <= _WIDTH else line[:_WIDTH] + "…"


def variants(node: Any) -> Iterator[ast.AST]:  # noqa: ANN401 - each kind of node has members of its own
    """What may stand in the place of this node."""
    if isinstance(node, ast.stmt):
        yield from _statements(node)
    elif isinstance(node, ast.expr):
        yield from _expressions(node)
    else:
        yield from _less(node)
    if isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(node.test, _NOT_NEGATED_ELSEWHERE):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _expressions(node: Any) -> Iterator[ast.AST]:  # noqa: ANN401 - as above
    match node:
        case ast.Compare():
            yield from _compare(node)
        case ast.BoolOp():
            yield from _bool_op(node)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.BinOp():
            yield from (ast.BinOp(node.left, op(), node.right) for op in SWAPS.get(type(node.op), []))
        case ast.Constant():
            yield from map(ast.Constant, _values(node.value))
        case ast.Slice():
            yield from (_with(node, **{end: None}) for end in ("lower", "upper") if getattr(node, end) is not None)
        case ast.Name(id=name) if name in NAMES:
            yield ast.Name(NAMES[name], node.ctx)
        case ast.Attribute(attr=name) if name in NAMES:
            yield ast.Attribute(node.value, NAMES[name], node.ctx)


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for at, op in enumerate(node.ops):
        for new in SWAPS[type(op)]:
            yield ast.Compare(node.left, [*node.ops[:at], new(), *node.ops[at + 1 :]], node.comparators)


def _bool_op(node: ast.BoolOp) -> Iterator[ast.AST]:
    for new in SWAPS[type(node.op)]:
        yield ast.BoolOp(new(), node.values)
    for at in range(len(node.values)):
        rest = node.values[:at] + node.values[at + 1 :]
        yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _values(value: object) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1] if value == 0 else [value + 1, value - 1]
        case str():
            repeats = [
                f"{value[: one.start()]}{int(one[0]) + 1}{value[one.end() :]}" for one in _REPEAT.finditer(value)
            ]
            return ["XX" + value, *repeats]
        case bytes():
            return [b"XX" + value]
    return []


def _less(node: Any) -> Iterator[ast.AST]:  # noqa: ANN401 - as above
    """A comprehension without one of its conditions, a case without its guard, a handler without one of its errors."""
    match node:
        case ast.comprehension(ifs=ifs):
            yield from (_with(node, ifs=ifs[:at] + ifs[at + 1 :]) for at in range(len(ifs)))
        case ast.match_case(guard=ast.expr()):
            yield _with(node, guard=None)
        case ast.ExceptHandler(type=ast.Tuple(elts=errors)):
            for at in range(len(errors)):
                yield _with(node, type=ast.Tuple(errors[:at] + errors[at + 1 :], ast.Load()))


def _statements(node: Any) -> Iterator[ast.AST]:  # noqa: ANN401 - as above
    match node:
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Return(value=ast.expr()) if not isinstance(node.value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Assign(targets=[target]) if _is_kept(target):
            yield ast.Pass()
        case ast.AugAssign():
            yield ast.Pass()
            for op in SWAPS.get(type(node.op), []):
                yield ast.AugAssign(node.target, op(), node.value)
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def _is_kept(target: ast.expr) -> bool:
    """Whether an assignment outlives its function: without one to a name there is only a NameError."""
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    return all(isinstance(one, ast.Attribute | ast.Subscript) for one in targets)


def _with(node: Any, **fields: object) -> ast.AST:  # noqa: ANN401 - as above
    """The same node with other members."""
    members = {name: getattr(node, name) for name in node._fields if hasattr(node, name)}
    new: ast.AST = type(node)(**{**members, **fields})
    return new
