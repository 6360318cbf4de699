"""Structured text queries: small functions that build the tree the server takes.

    text.boolean(must=[text.phrase("flow control", slop=1)], should=[text.prefix("stream")],
                 must_not=[text.match("window", fields=["title"])])

`fields` are those where a node and the ones below it look; `boost` multiplies the score.
"""
from __future__ import annotations

from collections.abc import Sequence

from ._proto.text_pb2 import (
    BooleanNode,
    FuzzyNode,
    MatchNode,
    PhraseNode,
    PrefixNode,
    TermsNode,
    TextNode,
)


def terms(words: Sequence[str], *, fields: Sequence[str] = (), boost: float = 1) -> TextNode:
    """Any of these terms as they are in the index, not analysed."""
    return TextNode(terms=TermsNode(terms=words), fields=fields, boost=boost)


def match(
    words: str, *, all_words: bool = False, min_words: int = 0, fields: Sequence[str] = (),
    boost: float = 1,
) -> TextNode:
    """Any or all of the words in one field, or at least so many of them."""
    node = MatchNode(text=words, operator=1 if all_words else 0, minimum_should_match=min_words)
    return TextNode(match=node, fields=fields, boost=boost)


def phrase(
    words: str, *, slop: int = 0, fields: Sequence[str] = (), boost: float = 1
) -> TextNode:
    """The words in this order, with up to `slop` others between or out of place."""
    return TextNode(phrase=PhraseNode(text=words, slop=slop), fields=fields, boost=boost)


def prefix(
    start: str, *, expansions: int = 0, fields: Sequence[str] = (), boost: float = 1
) -> TextNode:
    node = PrefixNode(text=start, expansions=expansions)
    return TextNode(prefix=node, fields=fields, boost=boost)


def fuzzy(
    word: str, *, edits: int = 2, prefix_length: int = 0, expansions: int = 0,
    fields: Sequence[str] = (), boost: float = 1,
) -> TextNode:
    """Words within so many edits, 1 or 2, after their first `prefix_length` characters."""
    node = FuzzyNode(text=word, edits=edits, prefix_length=prefix_length, expansions=expansions)
    return TextNode(fuzzy=node, fields=fields, boost=boost)


def boolean(
    must: Sequence[TextNode] = (), should: Sequence[TextNode] = (),
    must_not: Sequence[TextNode] = (), *, min_should: int = 0, fields: Sequence[str] = (),
    boost: float = 1,
) -> TextNode:
    """All of `must`, none of `must_not`, and at least `min_should` of `should`: 0 for one where
    there is no `must`, else for none."""
    node = BooleanNode(
        must=must, should=should, must_not=must_not, minimum_should_match=min_should)
    return TextNode(boolean=node, fields=fields, boost=boost)
