"""The `--where` language: comparisons joined by and, or, not, turned into a parameterised SQL condition.

    metric.gain_db > 5 and flow = 'denoise'
    params.tile >= 256 or not status = "completed"
    name like 'clean%'

Names are looked up in the fields that a table offers; values only ever travel as bound parameters.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_

from storage.errors import BadInputError

Compare = Callable[[str, Any], ColumnElement[bool]]
"""Given an operator and a value, the condition on one field."""

Fields = Callable[[str], Compare]
"""Given a field's name, how to compare it; raises BadInputError for a name it does not know."""

TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?\d+\.?\d*(?:[eE][+-]?\d+)?(?![\w.]))|(?P<text>'[^']*'|"[^"]*")|(?P<op><=|>=|!=|<>|==|=|<|>|\(|\))"""
    r"""|(?P<word>[A-Za-z_][\w.\-]*))"""
)
OPERATORS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "like": lambda a, b: a.ilike(b),
}
WORDS = ("and", "or", "not", "like")
MAX_COMPARISONS = 200
MAX_DEPTH = 50
LARGEST = 2**63 - 1
SAME = {"==": "=", "<>": "!="}


def where(text: str, fields: Fields) -> ColumnElement[bool]:
    """The condition that ``text`` states about ``fields``.

    Raises
    ------
    BadInputError
        If the text is no condition; it names the place.
    """
    if not text.isprintable():
        raise BadInputError("--where holds a character that cannot be printed; write it as plain text in one line")
    parser = _Parser(text, list(_tokens(text)), fields)
    condition = parser.either()
    if parser.peek():
        raise parser.error("and, or, or the end")
    return condition


def compare(column: Any, operator: str, value: Any) -> ColumnElement[bool]:
    """``column operator value``, the value turned into the column's type; a date may be given as text."""
    kind = column.type.python_type
    if kind not in TYPES:
        raise BadInputError(
            f"{column.name} cannot be compared as a whole; compare one of its members, as in params.tile > 256"
        )
    if operator == "like" and kind is not str:
        raise BadInputError(f"like compares texts, and this field holds a {kind.__name__}; use = != < <= > >=")
    return OPERATORS[operator](column, TYPES[kind](value))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadInputError(f"{value!r} is no number, and this field holds numbers")
    return value if abs(value) <= LARGEST else float(value)


def _truth(value: Any) -> bool:
    if value not in (True, False):
        raise BadInputError(f"{value!r} is neither true nor false, and this field holds one of these")
    return bool(value)


def _moment(value: Any) -> datetime:
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise BadInputError(f"{value!r} is no date; write one like '2026-11-21' or '2026-11-21T02:00'") from None


TYPES: dict[type, Callable[[Any], Any]] = {str: _text, int: _number, float: _number, bool: _truth, datetime: _moment}


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    place = 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise BadInputError(
                f"--where cannot be read at {text[place:].strip()[:20]!r}; write e.g. \"metric.gain_db > 5 and flow = 'denoise'\""
            )
        kind = match.lastgroup or ""
        yield kind, match.group(kind), match.start(kind)
        place = match.end()


@dataclass
class _Parser:
    text: str
    tokens: list[tuple[str, str, int]]
    fields: Fields
    at: int = 0
    comparisons: int = 0
    depth: int = 0

    def peek(self) -> str:
        return self.tokens[self.at][1].lower() if self.at < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        kind, token, _ = self.tokens[self.at]
        self.at += 1
        return kind, token

    def error(self, expected: str) -> BadInputError:
        found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
        return BadInputError(f"--where: {expected} was expected, {found[:40]!r} was found in {self.text[:200]!r}")

    def either(self) -> ColumnElement[bool]:
        parts = [self.both()]
        while self.peek() == "or":
            self.take()
            parts.append(self.both())
        return or_(*parts)

    def both(self) -> ColumnElement[bool]:
        parts = [self.one()]
        while self.peek() == "and":
            self.take()
            parts.append(self.one())
        return and_(*parts)

    def one(self) -> ColumnElement[bool]:
        if self.peek() not in ("not", "("):
            return self.comparison()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BadInputError(f"--where is nested more than {MAX_DEPTH} deep; write it simpler")
        if self.take()[1] == "(":
            inside = self.either()
            if self.peek() != ")":
                raise self.error("a closing bracket")
            self.take()
        else:
            inside = not_(self.one())
        self.depth -= 1
        return inside

    def comparison(self) -> ColumnElement[bool]:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != "word" or self.peek() in WORDS:
            raise self.error("a field")
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS:
            raise BadInputError(f"--where holds more than {MAX_COMPARISONS} comparisons; write it simpler")
        field = self.fields(self.take()[1])
        operator = SAME.get(self.peek(), self.peek())
        if operator not in OPERATORS:
            raise self.error("an operator (= != < <= > >= like)")
        self.take()
        return field(operator, self.value())

    def value(self) -> Any:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] == "op" or self.peek() in WORDS:
            raise self.error("a value")
        kind, token = self.take()
        if kind == "number":
            return float(token) if re.search(r"[.eE]", token) else int(token)
        if kind == "text":
            return token[1:-1]
        return {"true": True, "false": False}.get(token.lower(), token)
