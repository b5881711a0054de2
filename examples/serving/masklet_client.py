"""What both tools ask of `masklet serve`: masks of a picture."""

import base64
import json
import os
import urllib.error
import urllib.request
from typing import Any

SERVER = os.environ.get("MASKLET_SERVER", "http://127.0.0.1:8767")
TOKEN = os.environ.get("MASKLET_TOKEN", "")


def masks(picture: bytes, prompts: list[dict[str, Any]], shape: str) -> dict[str, Any]:
    """One mask for each prompt. Raises RuntimeError with the server's sentence."""
    asked = {"image": base64.b64encode(picture).decode(), "prompts": prompts, "shape": shape, "multimask": False}
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {TOKEN}"} if TOKEN else {})}
    request = urllib.request.Request(f"{SERVER}/v1/pictures", json.dumps(asked).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error).get("error", str(error))) from error
