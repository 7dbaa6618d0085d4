"""Which servers a URL names."""

import pytest

from nobacktrack.service.store.redis.address import RedisAddress, read_address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:1/2", RedisAddress("one", options={"host": "h", "port": 1, "db": 2})),
        ("unix:///run/r.sock", RedisAddress("one", options={"path": "/run/r.sock"})),
        (
            "redis+sentinel://a:1,b:2,[::1]:3/main",
            RedisAddress("sentinel", (("a", 1), ("b", 2), ("::1", 3)), "main"),
        ),
        (
            "rediss+sentinel://u%40:p%2F@a,b/main/3?sentinel_password=s%20",
            RedisAddress(
                "sentinel", (("a", 26379), ("b", 26379)), "main",
                {"username": "u@", "password": "p/", "ssl": True, "db": 3}, {"password": "s ", "ssl": True},
            ),
        ),
        ("valkey://h:1/2", RedisAddress("one", options={"host": "h", "port": 1, "db": 2})),
        ("valkeys://:p@h", RedisAddress("one", options={"host": "h", "password": "p"})),
        ("valkey+sentinel://a:1/main", RedisAddress("sentinel", (("a", 1),), "main")),
        ("valkeys+cluster://a:1", RedisAddress("cluster", (("a", 1),), options={"ssl": True})),
        ("redis+cluster://:p@a:1,[::1]", RedisAddress("cluster", (("a", 1), ("::1", 6379)), options={"password": "p"})),
    ],
)  # fmt: skip
def test_the_servers_that_a_url_names(url: str, expected: RedisAddress) -> None:
    found = read_address(url)
    common = {name: found.options[name] for name in expected.options}
    assert (found.kind, found.hosts, found.primary) == (expected.kind, expected.hosts, expected.primary)
    assert common == expected.options
    assert found.kind == "one" or found.options.keys() == expected.options.keys()
    assert found.sentinel_options == expected.sentinel_options


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "redis+other://h",
        "valkey+other://h",
        "valkeyss://h",
        "http+cluster://h",
        "redis+cluster://s3cret@/",
        "redis+cluster://:s3cret@a:b",
        "redis+cluster://:s3cret@a:1/1",
        "redis+cluster://:s3cret@a?x=1",
        "redis+sentinel://:s3cret@a:1",
        "redis+sentinel://:s3cret@a:1/main/x",
        "redis+sentinel://:s3cret@a:1/main/1/2",
        "redis+sentinel://:s3cret@a:1/main?other=1",
        "redis+sentinel://:s3cret@a:1,/main",
    ],
)
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^[^:]|:") as refused:
        read_address(url)
    assert "s3cret" not in str(refused.value)


def test_valkeys_is_tls_as_rediss_is() -> None:
    one, other = (read_address(f"{scheme}://h").options["connection_class"] for scheme in ("valkeys", "rediss"))
    assert one is other
    assert one is not read_address("valkey://h").options.get("connection_class")
