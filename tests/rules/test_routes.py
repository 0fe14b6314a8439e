"""Routes and their IAM patterns, without rules around them."""

import pytest
from api_gateway import matches

from authorizer.model import Scope
from authorizer.rules.routes import UNUSUAL_PATHS, Patterns, Route, is_unusual


def test_a_guarded_route_is_its_path_with_and_without_a_slash_whatever_letters_it_ends_with() -> None:
    for path in ("/MAX", "/MAX/"):
        assert list(Route(("GET",), path, open_ended=False).guarded(head=False)) == ["GET/MAX", "GET/MAX/"]
    assert list(Route(("GET",), "/", open_ended=False).guarded(head=False)) == ["GET/"]


def test_a_pattern_that_another_covers_is_left_out() -> None:
    assert Patterns(["GET/a/b", "GET/a*", "GET/a/*", "POST/a/b"]).patterns == ("GET/a*", "POST/a/b")


def test_all_of_a_scope_is_matched_by_a_beginning_or_where_it_is_one_path_exactly() -> None:
    patterns = Patterns(["GET/a/*", "GET/me"])
    matched = {
        (path, open_ended)
        for path in ("/a/", "/a/b", "/a", "/me", "/me/x")
        for open_ended in (False, True)
        if patterns.match_all_of(Scope(("GET",), path, open_ended))
    }
    assert matched == {("/a/", False), ("/a/", True), ("/a/b", False), ("/a/b", True), ("/me", False)}
    assert not patterns.match_all_of(Scope(("GET", "POST"), "/me", open_ended=False))


@pytest.mark.parametrize(
    ("path", "unusual"),
    [
        *[(path, False) for path in ("/", "/a/b", "/a/b/", "/a.b", "/.well-known/x", "/..a", "/a*", "/a:b", "/ü")],
        *[(path, True) for path in ("/a%2fb", "//a", "/a//b", "/a/./b", "/a/../b", "/a;b", "/a\\b", "/a/.", "/a/..")],
    ],
)
def test_the_policy_denies_the_paths_that_are_unusual_here(path: str, unusual: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    assert is_unusual(path) is unusual
    assert any(matches(pattern, f"GET{path}") for pattern in UNUSUAL_PATHS) is unusual
