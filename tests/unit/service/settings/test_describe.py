"""Settings as they are shown: with their names and origins, without secrets."""

import pytest

from nobacktrack.service.settings import Settings, unknown, variables
from nobacktrack.service.settings.describe import meanings, shown
from nobacktrack.service.store.redis.health import too_old
from tests.settings_table import OPERATIONS, written

SECRETS = [
    ("redis://h:1/0", "redis://h:1/0"),
    ("redis://u:s3cr3t@h:1/0", "redis://(not shown)@h:1/0"),
    ("redis://:s3@cr3t@h", "redis://(not shown)@h"),
    ("rediss+sentinel://u:s3cr3t@a:1,b:2/primary/0?sentinel_password=s3cr3t",
     "rediss+sentinel://(not shown)@a:1,b:2/primary/0?(not shown)"),
    ("redis://u:s3?cr3t@h", "redis://(not shown)"),
    ("redis://u:s3/cr3t@h", "redis://(not shown)"),
    ("redis://u:s3#cr3t@h", "redis://(not shown)"),
    ("redis://h/0?password=s3@cr3t", "redis://(not shown)"),
    ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?(not shown)"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "expected"), SECRETS)
def test_a_url_is_shown_without_its_secrets(url: str, expected: str) -> None:
    rows = {row.name: row for row in shown(Settings(redis_url=url))}
    assert rows["REDIS_URL"].value == expected


def test_what_is_given_is_told_from_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NBT_PORT": "8000", "NBT_KEY": "s3cr3t", "NBT_CORS_ORIGINS": "https://a, http://b:1"}.items():
        monkeypatch.setenv(name, value)
    rows = {row.name: row for row in shown(Settings())}
    assert {name: row.value for name, row in rows.items() if row.source == "environment"} == {
        "NBT_PORT": "8000",
        "NBT_KEY": "(not shown)",
        "NBT_CORS_ORIGINS": "https://a,http://b:1",
    }
    assert (rows["NBT_RATE"].value, rows["NBT_ACCESS_LOG"].value, rows["NBT_KEYS_FILE"].value) == ("0", "false", "")


def test_every_setting_says_what_it_means() -> None:
    said = meanings()
    assert list(said) == [variables(name)[0] for name in Settings.model_fields]
    assert all(text.endswith(".") and text[0].isupper() | text.startswith("`") for text in said.values()), said


def test_the_values_that_are_shown_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in shown(Settings()) if row.value]
    for row in rows:
        monkeypatch.setenv(row.name, row.value)
    assert [(row.value, row.source) for row in shown(Settings()) if row.value] == [
        (row.value, "environment") for row in rows
    ]


def test_what_only_looks_like_a_setting_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBT_MAX_QUEU", "1")
    monkeypatch.setenv("NBT_MAX_QUEUE", "1")
    assert "NBT_MAX_QUEU" in unknown()
    assert "NBT_MAX_QUEUE" not in unknown()


@pytest.mark.parametrize(
    ("version", "count"), [("6.2.14", 1), ("7.0.15", 0), ("7.2.4", 0), ("8.4.0", 0), ("255.255.255", 0), ("", 0)]
)
def test_a_redis_that_is_too_old_is_told(version: str, count: int) -> None:
    found = too_old({"redis_version": version})
    assert len(found) == count
    assert all(version in warning for warning in found)


def test_the_table_of_the_documentation_is_the_one_of_the_settings() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    assert written(text) == text, "make docs"
    assert text.count("<!-- panels:begin -->\n") == text.count("<!-- panels:end -->\n") == 1
