"""`/`: what needs me this morning."""

from __future__ import annotations

from typing import Any

from litestar import Response

from ringback.web.pages.frame import PageRequest, page, render


@page("/")
async def overview(request: PageRequest) -> Response[Any]:
    """The first page."""
    return render(request, "overview.html")
