"""Request headers that choose between answers: Accept-Encoding and If-None-Match (RFC 9110, 12.5.3 and 13.1.2)."""

import re

_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?("[^"]*")')


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client that sends this Accept-Encoding takes gzip. A quality of 0 means no; a broken one means no."""
    qualities: dict[str, float] = {}
    for part in accept_encoding.split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        found = [_QUALITY.fullmatch(parameter) for parameter in parameters]
        qualities[coding.lower()] = min((float(one[1]) if one else 0.0 for one in found), default=1.0)
    named = [qualities[coding] for coding in ("gzip", "x-gzip") if coding in qualities]
    return max(named or [qualities.get("*", 0.0)]) > 0.0


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether the client has the answer with this ETag already: the weak comparison; `*` is any tag."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)
