"""Channels of AppSync Events as rules name them, e.g. `SUBSCRIBE /inbox/{user_id}/*`.

A segment in braces stands for a claim of the caller. A `*` at the end stands for every channel below, at any depth.
Source: AWS, "AppSync Events: Understanding channel namespaces".
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

CONNECT, SUBSCRIBE, PUBLISH = "CONNECT", "SUBSCRIBE", "PUBLISH"

_SEGMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?", re.ASCII)
_CLAIM = re.compile(r"\{([^\s.,={}/]+(?:\.[^\s.,={}/]+)*)\}", re.ASCII)
_FORM = (
    "it must be CONNECT, SUBSCRIBE /channel or PUBLISH /channel: segments of at most 50 letters, digits and inner -, "
    "{claim} for a segment that is the caller's claim, * as the last segment only"
)

HasClaim = Callable[[tuple[str, ...], str], bool]  # whether the caller's claim at this path is, or contains, this text


class AskedChannel(NamedTuple):
    """The channel that a client asks for, or with `open_ended` every channel below it."""

    operation: str
    segments: tuple[str, ...]
    open_ended: bool


class ChannelPattern(NamedTuple):
    """The channels that a rule names. A segment is a text, or the path of a claim."""

    operation: str
    segments: tuple[str | tuple[str, ...], ...]
    open_ended: bool

    @property
    def claims(self) -> list[tuple[str, ...]]:
        """The paths of the claims in braces."""
        return [one for one in self.segments if isinstance(one, tuple)]

    def overlaps(self, asked: AskedChannel) -> bool:
        """Whether a requested channel matches this pattern with any values of the claims.

        A requested wildcard is taken to include its own base, and case is ignored: AWS documents neither.
        """
        if self.operation != asked.operation:
            return False
        mine, theirs = len(self.segments), len(asked.segments)
        if mine == theirs:
            is_possible = asked.open_ended or not self.open_ended
        else:
            is_possible = self.open_ended if mine < theirs else asked.open_ended
        pairs = zip(self.segments, asked.segments, strict=False)
        return is_possible and all(isinstance(one, tuple) or one.lower() == other.lower() for one, other in pairs)

    def covers(self, asked: AskedChannel, has_claim: HasClaim) -> bool:
        """Whether every channel that is asked for has this form, with the caller's own claims."""
        mine, theirs = len(self.segments), len(asked.segments)
        if self.open_ended:
            is_possible = mine < theirs or (mine == theirs and asked.open_ended)
        else:
            is_possible = mine == theirs and not asked.open_ended
        pairs = zip(self.segments, asked.segments, strict=False)
        fits = all(has_claim(one, other) if isinstance(one, tuple) else one == other for one, other in pairs)
        return is_possible and self.operation == asked.operation and fits

    def is_the_callers(self, asked: AskedChannel, has_claim: HasClaim) -> bool:
        """Whether all that is asked for of this form, which it overlaps, stands under the caller's own claims."""
        last = max((index for index, one in enumerate(self.segments) if isinstance(one, tuple)), default=-1)
        pairs = zip(self.segments, asked.segments, strict=False)
        own = all(has_claim(one, other) for one, other in pairs if isinstance(one, tuple))
        return own and last < len(asked.segments)


def parse_pattern(text: str) -> ChannelPattern:
    """Parse a pattern of a rule. Raises ValueError, whose text says what is allowed."""
    operation, _, path = text.partition(" ")
    if text == CONNECT:
        return ChannelPattern(CONNECT, (), open_ended=False)
    names, open_ended = _split(path)
    segments = [tuple(match[1].split(".")) if (match := _CLAIM.fullmatch(one)) else one for one in names]
    texts = [one for one in segments if isinstance(one, str)]
    if operation not in (SUBSCRIBE, PUBLISH) or path[:1] != "/" or not all(map(_SEGMENT.fullmatch, texts)):
        raise ValueError(f"has {text[:64]!a}; {_FORM}")
    # user_id, as the backend knows it, is Hanko's claim sub.
    return ChannelPattern(operation, tuple(("sub",) if one == ("user_id",) else one for one in segments), open_ended)


def parse_asked(operation: str, channel: str) -> AskedChannel | None:
    """Parse a requested channel, with or without a slash at either end: AppSync accepts both.

    None for a channel that AppSync would not accept: every rule guards it, and no rule grants it.
    """
    if operation == CONNECT:
        return AskedChannel(CONNECT, (), open_ended=False)
    segments, open_ended = _split(f"/{channel.removeprefix('/').removesuffix('/')}")
    if (open_ended and operation != SUBSCRIBE) or not all(map(_SEGMENT.fullmatch, segments)):
        return None
    return AskedChannel(operation, tuple(segments), open_ended)


def _split(path: str) -> tuple[list[str], bool]:
    """The segments behind the first slash, and whether a `*` stood behind them."""
    segments = path.split("/")[1:]
    open_ended = segments[-1:] == ["*"]
    return (segments[:-1] if open_ended else segments), open_ended


def guard(patterns: Sequence[ChannelPattern], asked: AskedChannel | None) -> bool:
    """Whether these patterns match at least a part of the requested channels."""
    return asked is None or any(one.overlaps(asked) for one in patterns)


def grant(patterns: Sequence[ChannelPattern], asked: AskedChannel | None, has_claim: HasClaim) -> bool:
    """Whether one of these patterns matches all requested channels."""
    return asked is not None and any(one.covers(asked, has_claim) for one in patterns)


def leave_to_the_caller(patterns: Sequence[ChannelPattern], asked: AskedChannel | None, has_claim: HasClaim) -> bool:
    """Whether no requested channel belongs to another user, by the claims in these patterns."""
    if asked is None:
        return False
    named = [one for one in patterns if one.overlaps(asked)]
    return all(one.is_the_callers(asked, has_claim) for one in named) or grant(patterns, asked, has_claim)
