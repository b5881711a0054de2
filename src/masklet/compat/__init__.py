"""Faces with the names of other projects, so that code written for them runs on masklet.

    import masklet.compat

    masklet.compat.install()  # from here on `import sam2` and `import segment_anything` are answered by masklet

`python -m masklet.compat SCRIPT.py ...` does the same for a script that is not touched. `masklet.compat.sam2` can also
be imported by its own name.
"""

from masklet.compat.aliases import install

__all__ = ["install"]
