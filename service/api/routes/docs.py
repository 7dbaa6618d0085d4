"""The documentation page. It loads its files from this service, for closed networks: a package has Swagger UI."""

from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

FOLDER = Path(str(resources.files("fastapi_swagger") / "resources"))
SCRIPT, STYLE, ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: the browser lets the page load nothing from elsewhere."""

router = APIRouter(prefix="/docs", include_in_schema=False)


@router.get("")
async def page(request: Request) -> HTMLResponse:
    """Swagger UI with the service's OpenAPI document."""
    root = request.scope.get("root_path", "").rstrip("/")
    html = get_swagger_ui_html(
        openapi_url=f"{root}{request.app.openapi_url}",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/{SCRIPT}",
        swagger_css_url=f"{root}/docs/{STYLE}",
        swagger_favicon_url=f"{root}/docs/{ICON}",
        # By default Swagger UI would send the document to a validator elsewhere.
        swagger_ui_parameters={"validatorUrl": None},
    )
    html.headers["Content-Security-Policy"] = POLICY
    return html


@router.get(f"/{SCRIPT}")
async def script() -> FileResponse:
    """The script of Swagger UI."""
    return FileResponse(FOLDER / SCRIPT)


@router.get(f"/{STYLE}")
async def style() -> FileResponse:
    """The style sheet of Swagger UI."""
    return FileResponse(FOLDER / STYLE)


@router.get(f"/{ICON}")
async def icon() -> FileResponse:
    """The page's icon."""
    return FileResponse(FOLDER / ICON)
