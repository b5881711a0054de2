"""Help fills the terminal's width, whatever the lines of the source, and leaves examples as they are."""

from __future__ import annotations

from masklet.cli.choices import help_of


def test_paragraphs_lose_the_line_breaks_of_the_source_and_examples_keep_theirs() -> None:
    def command() -> None:
        """What it does.

        A paragraph of
        two lines.

        \b
        Examples:
          masklet one
          masklet two
        """

    assert help_of(command).split("\n\n") == [
        "What it does.",
        "A paragraph of two lines.",
        "\b\nExamples:\n  masklet one\n  masklet two",
    ]
