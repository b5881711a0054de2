"""Small faults, made in the source one at a time by the operators of cosmic-ray."""

from __future__ import annotations

import ast
import difflib
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

PLAUSIBLE = re.compile(
    r"core/(AddNot|Replace(True|False|And|Or|Break|Continue)With\w+|NumberReplacer|ZeroIterationForLoop|ExceptionReplacer"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not|Delete_Invert)"
    r"|ReplaceComparisonOperator_((Eq|NotEq|Lt|LtE|Gt|GtE)_(Eq|NotEq|Lt|LtE|Gt|GtE)|Is_IsNot|IsNot_Is|In_NotIn|NotIn_In)"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|Div_FloorDiv|FloorDiv_Mul|FloorDiv_Div|Mod_FloorDiv|Pow_Mul"
    r"|BitAnd_BitOr|BitOr_BitAnd|BitXor_BitOr))"
)
"""The operators whose faults a person could make. Others, such as `<<` for `+`, end in a TypeError, and would make the
share of found ones look better; or they change nothing, such as `==` for `is`."""

OPERATORS = [name for name in operator_names() if PLAUSIBLE.fullmatch(name)]


@dataclass(frozen=True, order=True)
class Mutant:
    """One fault: the operator's n-th place in a file, and the line where it starts."""

    path: str
    line: int
    column: int
    operator: str
    occurrence: int

    def source(self, root: Path) -> str:
        """The whole file with the fault."""
        code = mutate_code((root / self.path).read_text(), get_operator(self.operator)(), self.occurrence)
        assert code is not None, f"{self} was found in the same file"
        return code

    def key(self, root: Path) -> str:
        """By what it is known again, whatever has changed elsewhere in the file."""
        return f"{self.path}: {self.operator}: {self.diff(root)}"

    def diff(self, root: Path) -> str:
        """The changed lines, without context."""
        before, after = (root / self.path).read_text().splitlines(), self.source(root).splitlines()
        return "\n".join(
            line for line in difflib.unified_diff(before, after, n=0, lineterm="") if line[:2] not in HEADS
        )


HEADS = ("--", "++", "@@")
"""How the lines of a diff begin that are not lines of the files."""


def sample(root: Path, paths: list[str], count: int, seed: int) -> list[Mutant]:
    """Mutants spread over the code: places are drawn, and one mutant of each. A place is a line and a column, so that
    a place that several operators change is as likely as others. What changes types alone is no fault.

    Args:
        root: The repository.
        paths: The files.
        count: How many.
        seed: Of the draw.
    """
    draw = random.Random(seed)
    places: dict[tuple[str, int, int], list[Mutant]] = defaultdict(list)
    for path in paths:
        for mutant in mutants(root, path):
            places[path, mutant.line, mutant.column].append(mutant)
    found = []
    for place in draw.sample(sorted(places), len(places)):
        if len(found) == count:
            break
        mutant = draw.choice(places[place])
        if behaviour(mutant.source(root)) not in (None, behaviour((root / mutant.path).read_text())):
            found.append(mutant)
    return found


def mutants(root: Path, path: str) -> Iterator[Mutant]:
    """All mutants of a file."""
    every = list(nodes(parso.parse((root / path).read_text())))
    for name in OPERATORS:
        operator, occurrence = get_operator(name)(), 0
        for node in every:
            star = node.type == "operator" and node.parent is not None and node.parent.type in ("parameters", "param")
            for (line, column), _ in operator.mutation_positions(node):
                if not star:  # the star among parameters is no product
                    yield Mutant(path, line, column, name, occurrence)
                occurrence += 1


def nodes(node: parso.tree.NodeOrLeaf) -> Iterator[parso.tree.NodeOrLeaf]:
    """A node and all below it, in the order in which cosmic-ray counts."""
    yield node
    for child in getattr(node, "children", ()):
        yield from nodes(child)


def behaviour(source: str) -> str | None:
    """The code without its annotations and the texts of assertions, which change nothing when it runs; None if it is no
    Python, as where a `*` stands alone among parameters."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.Assert):
            node.msg = None
    return ast.dump(tree)
