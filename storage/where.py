"""The `--where` language: comparisons joined by and, or, not, turned into a parameterised SQL condition.

    metric.psnr_db > 30 and flow = 'denoise'
    params.tile >= 256 or not status = "completed"
    name like 'clean%'

Names are looked up in the fields that a table offers; values only ever travel as bound parameters.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, TypeDecorator, and_, not_, or_

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
    "like": lambda a, b: a.like(b),
}
SAME = {"==": "=", "<>": "!="}


def where(text: str, fields: Fields) -> ColumnElement[bool]:
    """The condition that ``text`` states about ``fields``.

    Raises
    ------
    BadInputError
        If the text is no condition; it names the place.
    """
    parser = _Parser(text, list(_tokens(text)), fields)
    condition = parser.either()
    if parser.peek():
        raise parser.error("and, or, or the end")
    return condition


def compare(column: Any, operator: str, value: Any) -> ColumnElement[bool]:
    """``column operator value``; a date may be given as text."""
    kind = getattr(column, "type", None)
    is_date = isinstance(kind, DateTime) or (isinstance(kind, TypeDecorator) and isinstance(kind.impl, DateTime))
    if is_date and isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise BadInputError(f"{value!r} is no date; write one like '2026-11-21' or '2026-11-21T02:00'") from None
        value = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return OPERATORS[operator](column, value)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    place = 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise BadInputError(
                f"--where cannot be read at {text[place:].strip()[:20]!r}; write e.g. \"metric.psnr_db > 30 and flow = 'denoise'\""
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

    def peek(self) -> str:
        return self.tokens[self.at][1].lower() if self.at < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        kind, token, _ = self.tokens[self.at]
        self.at += 1
        return kind, token

    def error(self, expected: str) -> BadInputError:
        found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
        return BadInputError(f"--where: {expected} was expected, {found!r} was found in {self.text!r}")

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
        if self.peek() == "not":
            self.take()
            return not_(self.one())
        if self.peek() == "(":
            self.take()
            inside = self.either()
            if self.peek() != ")":
                raise self.error("a closing bracket")
            self.take()
            return inside
        return self.comparison()

    def comparison(self) -> ColumnElement[bool]:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != "word":
            raise self.error("a field")
        field = self.fields(self.take()[1])
        operator = SAME.get(self.peek(), self.peek())
        if operator not in OPERATORS:
            raise self.error("an operator (= != < <= > >= like)")
        self.take()
        return field(operator, self.value())

    def value(self) -> Any:
        if self.at >= len(self.tokens) or self.tokens[self.at][1] in ("(", ")"):
            raise self.error("a value")
        kind, token = self.take()
        if kind == "number":
            return float(token) if re.search(r"[.eE]", token) else int(token)
        if kind == "text":
            return token[1:-1]
        return {"true": True, "false": False}.get(token.lower(), token)
