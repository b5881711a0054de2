"""Published files: where they are on this machine, and how they come here.

A file that was put into `models_folder()` by hand is found first, then the cache of huggingface_hub. Otherwise
huggingface_hub downloads it: resumable, cached, with a progress bar. `HF_HUB_OFFLINE` and the proxy settings of the
environment are honoured.

The publishers give no checksums, so none is pinned here. The hub names a file by the SHA-256 of its bytes: the one of
what arrived is compared with that name, and stated, so that it can be noted and compared.
"""

import os
import re
import ssl
import sys
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from masklet.atomic import digest_of_file
from masklet.errors import CheckpointError

ANSWER_SECONDS = 5.0
"""How long the hub may take to answer at all; without this look, huggingface_hub retries for half a minute."""

_SHA256 = re.compile("[0-9a-f]{64}")


def models_folder() -> Path:
    """Where files put by hand are looked for: `$MASKLET_HOME/models`, or `~/.cache/masklet/models`."""
    return Path(os.path.expanduser(os.environ.get("MASKLET_HOME") or "~/.cache/masklet")) / "models"


def local_file(repo: str, file: str, hub_file: str | None = None) -> Path | None:
    """A published file on this machine, put by hand or downloaded earlier, there perhaps by another name; else None."""
    by_hand = models_folder() / file
    if by_hand.is_file():
        return by_hand
    if not (_hub_cache() / f"models--{repo.replace('/', '--')}").exists():  # spares loading the library, half a second
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repo, hub_file or file)
    return Path(cached) if isinstance(cached, str) else None


def download(name: str, repo: str, file: str, url: str) -> Path:
    """The file of a published model, from its repository on the hub if it is not in the hub's cache yet; `url` is where
    else it was published. Raises CheckpointError, which says where to put the file by hand, if it cannot be had."""
    try:
        path = _download(repo, file)
    except Exception as error:  # which library's error it is depends on the version of huggingface_hub
        raise CheckpointError(
            f"{name} is not on this machine, and getting {file} from the hub repository {repo} failed "
            f"({_reason(error)}); download {url} and put it at {models_folder() / url.rpartition('/')[2]}"
        ) from error
    _check_digest(path, repo, file)
    return path


def _hub_cache() -> Path:
    """The folder of huggingface_hub's cache, by the rules of its documentation."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(variable):
            return _expanded(folder)
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(os.environ.get("HF_HOME") or f"{caches}/huggingface") / "hub"


def _expanded(folder: str) -> Path:
    return Path(os.path.expanduser(os.path.expandvars(folder)))


def _download(repo: str, file: str) -> Path:
    from huggingface_hub import constants, hf_hub_download

    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set")
    _expect_answer(constants.ENDPOINT)
    return Path(hf_hub_download(repo, file, etag_timeout=ANSWER_SECONDS))


def _expect_answer(url: str) -> None:
    """Return if somebody answers at the address, whatever the answer; raise `OSError` if nobody does."""
    try:
        urlopen(Request(url, method="HEAD"), timeout=ANSWER_SECONDS).close()
    except HTTPError as answer:
        answer.close()
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # Python's own certificates may be older than the hub's
            raise


def _reason(error: BaseException) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    first, *_ = [*str(error.reason if isinstance(error, URLError) else error).splitlines(), ""]
    return first.strip()[:200] or type(error).__name__


def _check_digest(path: Path, repo: str, file: str) -> None:
    digest = digest_of_file(path)
    named = path.resolve().name
    if _SHA256.fullmatch(named) and named != digest:
        path.resolve().unlink()
        raise CheckpointError(
            f"{file} from {repo} arrived damaged (SHA-256 {digest}, the hub says {named}) and was removed; try again"
        )
    print(f"{file}: SHA-256 {digest}", file=sys.stderr)
