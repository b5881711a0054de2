"""YouTube-VOS: which objects are of a category that training has."""

from __future__ import annotations

from pathlib import Path

from masklet.errors import EvaluationError
from masklet.evaluation.scoring.score import Scores
from masklet.formats.json_file import entry, load_json
from masklet.metrics.summary import SeenAndUnseen, seen_and_unseen


def read_categories(meta: Path) -> dict[tuple[str, str], str]:
    """(sequence, object) -> category, of a meta.json of YouTube-VOS. Raises FormatError for another file."""
    videos = entry(load_json(meta), "videos", dict, meta.name)
    found = {}
    for name, video in videos.items():
        for number, item in entry(video, "objects", dict, meta.name).items():
            found[name, number] = entry(item, "category", str, meta.name)
    return found


def split_scores(scores: Scores, meta: Path, training: Path) -> SeenAndUnseen:
    """J, F and G by category: unseen is what the meta.json of the training split does not have.

    Raises EvaluationError if the meta.json of the truth lacks a scored object.
    """
    categories, known = read_categories(meta), set(read_categories(training).values())
    means, unseen = [], []
    for sequence in scores.sequences:
        for item in sequence.objects:
            key = sequence.name, str(item.object)
            if key not in categories:
                raise EvaluationError(
                    f"{meta} says nothing of object {key[1]} in {key[0]}; give the meta.json that belongs to the truth"
                )
            summary = item.summary()
            means.append((summary.region.mean, summary.boundary.mean))
            unseen.append(categories[key] not in known)
    return seen_and_unseen(means, unseen)
