"""The table of `make profile`."""

from tests.bench.profile import table


def test_time_is_counted_for_a_function_itself_and_with_its_calls() -> None:
    stacks = "main (a.py:1);work (a.py:7);sleep (b.py:3) 3\nmain (a.py:2);work (a.py:9) 1\n"
    head, *rows = table(stacks)
    assert head.split() == ["itself", "with", "its", "calls", "function"]
    assert [row.split() for row in rows] == [
        ["75.0%", "75.0%", "sleep", "(b.py)"],
        ["25.0%", "100.0%", "work", "(a.py)"],
    ]


def test_a_function_that_calls_itself_is_counted_once() -> None:
    [_, row] = table("again (a.py:1);again (a.py:1) 4")
    assert row.split() == ["100.0%", "100.0%", "again", "(a.py)"]
