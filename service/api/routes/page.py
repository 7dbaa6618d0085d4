"""The live page at `/` and its files. The page is a client of the service like any other."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from ...errors import NotFound
from ...web import assets
from ..negotiation import accepts_gzip, is_known

INDEX = "index.html"
STYLES = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
"""Hashes of the two style elements that plotly.js makes: an empty one, and one with constant content."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {STYLES}",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: the page may load nothing from elsewhere, and no script but its files."""
KEEP = "public, max-age=31536000, immutable"
"""Cache-Control of an address that has a version in it."""
ASK = "no-cache"
"""Cache-Control of other addresses: a browser keeps the content and asks whether it is still the same."""

Version = Annotated[str | None, Query(description="Version of the file: another version has another address.")]

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """The live page."""
    return await _answer(request, INDEX)


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
async def static(name: str, request: Request, v: Version = None) -> Response:
    """A file of the page."""
    if name not in assets.names() - {INDEX}:
        raise NotFound("the page has no such file")
    return await _answer(request, name)


async def _answer(request: Request, name: str) -> Response:
    asset = await asyncio.to_thread(assets.asset, name)
    headers = {
        "Cache-Control": KEEP if name == assets.PLOTLY else ASK,
        "Content-Security-Policy": POLICY,
        "ETag": asset.tag,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if is_known(asset.tag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        return Response(asset.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)
    return Response(await asyncio.to_thread(lambda: asset.plain), headers=headers, media_type=asset.media_type)
