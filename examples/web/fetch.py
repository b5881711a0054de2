"""Put beside the page what it needs: onnxruntime-web, by npm, checked by its digest; nano's graphs; the sample clip.

python examples/web/fetch.py
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import masklet

HERE = Path(__file__).parent

PACKAGE = "onnxruntime-web@1.23.2"

SHA512 = (
    "4f4f4952d327f8264b937985c2a887d258107fee12efea181c7b64eae85a6000"
    "0923de5b4dc2a2e5b38e658c0e4577d2fd12d90a30c311719622e3820059448e"
)
"""What npm fetches, and the digest of that archive."""

FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def fetch_runtime(folder: Path) -> None:
    """The files of onnxruntime-web that run on a processor."""
    with TemporaryDirectory() as temporary:
        subprocess.run(
            ["npm", "pack", "--silent", PACKAGE, "--pack-destination", temporary], check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(temporary).iterdir()
        if (digest := hashlib.sha512(archive.read_bytes()).hexdigest()) != SHA512:
            sys.exit(f"{PACKAGE} has the digest {digest}, and {SHA512} was expected; nothing was kept")
        folder.mkdir(exist_ok=True)
        with tarfile.open(archive) as packed:
            for name in FILES:
                source = packed.extractfile(f"package/dist/{name}")
                assert source is not None, f"{PACKAGE} has {name}"
                (folder / name).write_bytes(source.read())


def main() -> None:
    fetch_runtime(HERE / "ort")
    shutil.copy(Path(masklet.__file__).parent / "samples" / "clip.mp4", HERE)
    if not (HERE / "nano" / "model.json").is_file():
        subprocess.run([sys.executable, "-m", "masklet", "export", "nano", "--out", str(HERE / "nano")], check=True)
    print(f"python -m http.server --directory {HERE} 8000")


if __name__ == "__main__":
    main()
