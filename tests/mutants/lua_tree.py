"""A Lua chunk as a tree of statements and expressions, each with its place in the text.

Only what a mutation needs is kept: every node has a kind, the span it was read from, and its parts in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.mutants.lua_tokens import LuaError, Token, tokens

# Statements: local assign call_statement do while repeat if for function_statement return break
# Expressions: name number string constant vararg function table call method index unary binary paren
_STATEMENTS = "local assign call_statement do while repeat if for function_statement return break"
STATEMENTS = frozenset(_STATEMENTS.split())
_PRECEDENCE = {
    "or": (1, 1), "and": (2, 2), "<": (3, 3), ">": (3, 3), "<=": (3, 3), ">=": (3, 3), "~=": (3, 3), "==": (3, 3),
    "..": (5, 4), "+": (6, 6), "-": (6, 6), "*": (7, 7), "/": (7, 7), "%": (7, 7), "^": (10, 9),
}  # fmt: skip
_UNARY = 8


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of the source.

    Attributes:
        kind: see STATEMENTS and the list beside it; also block, clause (condition, block), else, targets, values,
            item and pair (of a table).
        start, end: its span in the text.
        parts: the nodes inside, in their order; of a call: what is called, then its arguments.
        word: the operator, or the text of a name, number, string or constant.
        at: where a binary operator stands.
    """

    kind: str
    start: int
    end: int
    parts: tuple[Node, ...] = ()
    word: str = ""
    at: int = 0

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the text."""
        yield self
        for part in self.parts:
            yield from part.walk()


def parse(source: str) -> Node:
    """The chunk's block. Raises LuaError."""
    return _Parser(tokens(source)).chunk()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0

    def chunk(self) -> Node:
        block = self._block()
        if self._next.kind != "end":
            raise LuaError(f"offset {self._next.start}: {self._next.text!r} was not expected")
        return block

    # Reading tokens.

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    @property
    def _end(self) -> int:
        """Where the last token taken ended."""
        return self._tokens[self._at - 1].end

    def _take(self, *texts: str) -> Token | None:
        """The next token when it is one of these signs or keywords."""
        token = self._next
        if token.kind in ("sign", "keyword") and token.text in texts:
            self._at += 1
            return token
        return None

    def _need(self, text: str) -> Token:
        token = self._take(text)
        if not token:
            raise LuaError(f"offset {self._next.start}: {text!r} expected, {self._next.text!r} found")
        return token

    def _name(self) -> Node:
        token = self._next
        if token.kind != "name":
            raise LuaError(f"offset {token.start}: a name expected, {token.text!r} found")
        self._at += 1
        return Node("name", token.start, token.end, word=token.text)

    # Statements.

    def _block(self) -> Node:
        start = self._next.start
        statements: list[Node] = []
        while self._next.kind != "end" and self._next.text not in ("end", "else", "elseif", "until"):
            if not self._take(";"):
                statements.append(self._statement())
        return Node("block", start, max(start, self._end), tuple(statements))

    def _statement(self) -> Node:
        start = self._next.start
        readers = {
            "if": self._if, "while": self._while, "do": self._do, "for": self._for, "repeat": self._repeat,
            "function": self._function_statement, "local": self._local, "return": self._return,
        }  # fmt: skip
        if self._take("break"):
            return Node("break", start, self._end)
        if self._next.kind == "keyword" and (reader := readers.get(self._next.text)):
            self._at += 1
            kind, parts = reader()
            return Node(kind, start, self._end, parts)
        return self._expression_statement()

    def _if(self) -> tuple[str, tuple[Node, ...]]:
        clauses: list[Node] = []
        while True:
            start = self._next.start
            condition = self._expression()
            self._need("then")
            block = self._block()
            clauses.append(Node("clause", start, self._end, (condition, block)))
            if not self._take("elseif"):
                break
        if self._take("else"):
            block = self._block()
            clauses.append(Node("else", block.start, block.end, (block,)))
        self._need("end")
        return "if", tuple(clauses)

    def _while(self) -> tuple[str, tuple[Node, ...]]:
        condition = self._expression()
        return "while", (condition, self._body("do"))

    def _do(self) -> tuple[str, tuple[Node, ...]]:
        block = self._block()
        self._need("end")
        return "do", (block,)

    def _repeat(self) -> tuple[str, tuple[Node, ...]]:
        block = self._block()
        self._need("until")
        return "repeat", (block, self._expression())

    def _for(self) -> tuple[str, tuple[Node, ...]]:
        self._name()
        while self._take(","):
            self._name()
        if not self._take("="):
            self._need("in")
        return "for", (*self._expressions(), self._body("do"))

    def _body(self, opening: str) -> Node:
        self._need(opening)
        block = self._block()
        self._need("end")
        return block

    def _function_statement(self) -> tuple[str, tuple[Node, ...]]:
        self._name()
        while self._take(".", ":"):
            self._name()
        return "function_statement", (self._function_body(),)

    def _local(self) -> tuple[str, tuple[Node, ...]]:
        if self._take("function"):
            self._name()
            return "function_statement", (self._function_body(),)
        self._name()
        while self._take(","):
            self._name()
        return "local", tuple(self._expressions()) if self._take("=") else ()

    def _return(self) -> tuple[str, tuple[Node, ...]]:
        if self._next.kind == "end" or self._next.text in ("end", "else", "elseif", "until", ";"):
            return "return", ()
        return "return", tuple(self._expressions())

    def _expression_statement(self) -> Node:
        start = self._next.start
        first = self._suffixed()
        if first.kind in ("call", "method"):
            return Node("call_statement", start, self._end, (first,))
        targets = [first]
        while self._take(","):
            targets.append(self._suffixed())
        self._need("=")
        left = Node("targets", start, targets[-1].end, tuple(targets))
        values = self._expressions()
        right = Node("values", values[0].start, self._end, tuple(values))
        return Node("assign", start, self._end, (left, right))

    def _function_body(self) -> Node:
        self._need("(")
        while not self._take(")"):
            if not self._take("...", ","):
                self._name()
        block = self._block()
        self._need("end")
        return block

    # Expressions.

    def _expressions(self) -> list[Node]:
        found = [self._expression()]
        while self._take(","):
            found.append(self._expression())
        return found

    def _expression(self, limit: int = 0) -> Node:
        start = self._next.start
        if unary := self._take("not", "-", "#"):
            operand = self._expression(_UNARY)
            left = Node("unary", start, self._end, (operand,), unary.text)
        else:
            left = self._simple()
        while self._next.kind in ("sign", "keyword") and self._next.text in _PRECEDENCE:
            operator = self._next
            before, after = _PRECEDENCE[operator.text]
            if before <= limit:
                break
            self._at += 1
            right = self._expression(after)
            left = Node("binary", start, self._end, (left, right), operator.text, operator.start)
        return left

    def _simple(self) -> Node:
        token = self._next
        if token.kind in ("number", "string"):
            self._at += 1
            return Node(token.kind, token.start, token.end, word=token.text)
        if self._take("nil", "true", "false"):
            return Node("constant", token.start, token.end, word=token.text)
        if self._take("..."):
            return Node("vararg", token.start, token.end)
        if self._take("function"):
            body = self._function_body()
            return Node("function", token.start, self._end, (body,))
        if self._next.text == "{":
            return self._table()
        return self._suffixed()

    def _suffixed(self) -> Node:
        start = self._next.start
        if self._take("("):
            inner = self._expression()
            self._need(")")
            node = Node("paren", start, self._end, (inner,))
        else:
            node = self._name()
        while True:
            if self._take("."):
                node = Node("index", start, self._next.end, (node, self._name()))
            elif self._take("["):
                key = self._expression()
                self._need("]")
                node = Node("index", start, self._end, (node, key))
            elif self._take(":"):
                name, arguments = self._name(), self._arguments()
                node = Node("method", start, self._end, (node, *arguments), name.word)
            elif self._next.kind == "string" or self._next.text in ("(", "{"):
                arguments = self._arguments()
                node = Node("call", start, self._end, (node, *arguments))
            else:
                return node

    def _arguments(self) -> list[Node]:
        if self._next.kind == "string" or self._next.text == "{":
            return [self._simple()]
        self._need("(")
        if self._take(")"):
            return []
        found = self._expressions()
        self._need(")")
        return found

    def _table(self) -> Node:
        start = self._need("{").start
        fields: list[Node] = []
        while not self._take("}"):
            fields.append(self._field())
            if not self._take(",", ";"):
                self._need("}")
                break
        return Node("table", start, self._end, tuple(fields))

    def _field(self) -> Node:
        start = self._next.start
        if self._take("["):
            key = self._expression()
            self._need("]")
            self._need("=")
            return Node("pair", start, self._end, (key, self._expression()))
        following = self._tokens[self._at + 1]
        if self._next.kind == "name" and following.text == "=" and following.kind == "sign":
            key = self._name()
            self._need("=")
            value = self._expression()
            return Node("pair", start, self._end, (key, value))
        value = self._expression()
        return Node("item", start, self._end, (value,))
