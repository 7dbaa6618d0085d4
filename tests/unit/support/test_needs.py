"""A test that lacks a program is skipped, and the summary counts it."""

from pathlib import Path

import pytest

from tests.support import needs


def program(directory: Path, name: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text("#!/bin/sh\n")
    (directory / name).chmod(0o755)


def test_a_browser_is_found_under_each_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in needs.CHROMIUM:
        program(tmp_path / name, name)
        monkeypatch.setenv("PATH", str(tmp_path / name))
        found = needs.find("chromium")
        assert found is not None
        assert Path(found).name in needs.CHROMIUM


def test_a_program_that_is_missing_skips_the_test_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert needs.find("no-such-program") is None
    with pytest.raises(pytest.skip.Exception, match=r"^needs no-such-program$"):
        needs.path_of("no-such-program")
    assert needs.needs("no-such-program", "no-such-other").mark.kwargs["reason"] == (
        "needs no-such-program, no-such-other"
    )


def test_the_summary_groups_what_is_missing() -> None:
    reasons = ["needs nginx", "Skipped: needs nginx", "needs prometheus, promtool", "too old", "too old"]
    assert needs.wanting(reasons) == ({"nginx": 2, "prometheus": 1, "promtool": 1}, ["too old"])
