"""Pictures as the content of PNG files."""

from __future__ import annotations

from io import BytesIO

from PIL import Image


def as_png(picture: Image.Image) -> bytes:
    """The content of a PNG file."""
    content = BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()
