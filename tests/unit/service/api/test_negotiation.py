"""Accept-Encoding and If-None-Match by the words of RFC 9110."""

import pytest

from nobacktrack.service.api.negotiation import accepts_gzip, is_known

TAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("gzip;q=0.001", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("br, *;q=0", False),
        ("gzip;q=many", False),
        ("gzipped", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (TAG, True),
        (f"W/{TAG}", True),
        (f'"other", W/{TAG}', True),
        ("*", True),
        (" * ", True),
        (None, False),
        ("", False),
        ("abc", False),
        ('"abcd"', False),
        ('"other"', False),
    ],
)
def test_a_tag_is_compared_weakly(header: str | None, known: bool) -> None:
    assert is_known(TAG, header) is known
