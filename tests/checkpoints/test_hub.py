"""Published files come here with their digest stated, or not at all with a sentence that tells what to do."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from masklet.checkpoints import hub, load_model, registry
from masklet.errors import CheckpointError

DOWNLOAD = hub._download
"""The true one, which the fixture `alone` replaces."""


def cache_blob(tmp_path: Path, content: bytes, name: str) -> Path:
    """A file as the hub's cache keeps it: a link to a blob that is named by its digest."""
    blob = tmp_path / "blobs" / name
    blob.parent.mkdir()
    blob.write_bytes(content)
    link = tmp_path / "sam2-tiny.pt"
    link.symlink_to(blob)
    return link


def test_a_file_here_is_not_fetched():
    by_hand = hub.models_folder() / "sam2.1_hiera_tiny.pt"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(b"weights")
    assert registry.fetch(registry.find("sam2.1-tiny")) == by_hand


def test_the_digest_of_what_arrives_is_stated(tmp_path, monkeypatch, capsys):
    digest = hashlib.sha256(b"weights").hexdigest()
    link = cache_blob(tmp_path, b"weights", digest)
    monkeypatch.setattr(hub, "_download", lambda repo, file: link)
    assert registry.fetch(registry.find("sam2-tiny")) == link
    assert capsys.readouterr().err == f"sam2_hiera_tiny.pt: SHA-256 {digest}\n"


def test_what_arrives_damaged_is_removed(tmp_path, monkeypatch):
    link = cache_blob(tmp_path, b"weigh", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setattr(hub, "_download", lambda repo, file: link)
    with pytest.raises(CheckpointError, match=r"^sam2_hiera_tiny\.pt from facebook/sam2-hiera-tiny arrived damaged"):
        registry.fetch(registry.find("sam2-tiny"))
    assert not link.exists()


def test_without_network_the_sentence_tells_what_to_do():
    with pytest.raises(CheckpointError) as caught:
        load_model("sam2.1-tiny")
    assert str(caught.value) == (
        "sam2.1-tiny is not on this machine, and getting sam2.1_hiera_tiny.pt from the hub repository "
        "facebook/sam2.1-hiera-tiny failed (no network in tests); download "
        "https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_tiny.pt and put it at "
        f"{hub.models_folder() / 'sam2.1_hiera_tiny.pt'}"
    )


def test_offline_mode_is_honoured(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_download", DOWNLOAD)
    monkeypatch.setattr(hub, "_expect_answer", lambda url: pytest.fail("asked the network"))
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE is set"):
        registry.fetch(registry.find("sam2-small"))


def test_a_refusal_is_quick(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"  # bound, but nobody listens
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(hub, "_download", DOWNLOAD)
        start = time.perf_counter()
        with pytest.raises(CheckpointError, match="refused"):
            registry.fetch(registry.find("sam2-small"))
    assert time.perf_counter() - start < hub.ANSWER_SECONDS


def test_home_is_the_users_unless_told(monkeypatch):
    monkeypatch.delenv("MASKLET_HOME")
    assert hub.models_folder() == Path.home() / ".cache" / "masklet" / "models"


def test_a_package_without_nano_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(registry.resources, "files", lambda package: tmp_path)
    with pytest.raises(CheckpointError, match=r"^the weights of nano are missing from this installation"):
        load_model()
