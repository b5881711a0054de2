"""`python -m masklet.compat SCRIPT.py ...`: run a script written for `sam2` or `segment_anything`, untouched, with the
processes that it starts.
"""

import os
import runpy
import sys
from pathlib import Path

from masklet.compat import install
from masklet.errors import MaskletError

USAGE = """usage: python -m masklet.compat SCRIPT.py [ARGUMENTS...]
       python -m masklet.compat -m MODULE [ARGUMENTS...]

Runs a script as `python SCRIPT.py` would, with `import sam2` and `import segment_anything` answered by masklet.

examples:
  python -m masklet.compat notebook_as_script.py
  python -m masklet.compat tools/infer.py --config configs/sam2.1/sam2.1_hiera_t.yaml --out masks"""


def main(arguments: list[str]) -> int:
    """Run what the arguments name. Returns an exit code: 0 done or help shown, 2 wrong usage."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    module = arguments[:1] == ["-m"]
    rest = arguments[1:] if module else arguments
    if not rest or (not module and not Path(rest[0]).is_file()):
        missing = f"there is no script {rest[0]}\n" if rest else ""
        print(f"{missing}{USAGE}", file=sys.stderr)
        return 2
    try:
        told = install()
    except MaskletError as error:
        print(f"masklet.compat: {error}", file=sys.stderr)
        return 1
    for sentence in told:
        print(f"masklet.compat: {sentence}", file=sys.stderr)
    stubs = str(Path(__file__).parent / "on_path")  # for processes that the script starts
    os.environ["PYTHONPATH"] = os.pathsep.join([stubs, *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.path.insert(1, stubs)  # spawned ones take this list
    sys.argv = rest
    if module:
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(rest[0]).resolve().parent)
        runpy.run_path(rest[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
