"""Score all sequences of a folder, in several processes, some frames at a time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from masklet.errors import EvaluationError
from masklet.evaluation.scoring.folders import IndexFolder, Pair, Pairs, pair_folders
from masklet.evaluation.scoring.frames import measure_frame
from masklet.metrics.counting import as_they_are
from masklet.metrics.protocols import ObjectScores, find_protocol, select
from masklet.metrics.sequence import Measured, join
from masklet.metrics.summary import RegionAndBoundary, average

CHUNK = 32
"""Frames that a process measures before it takes others: small, so that all are busy to the end."""


@dataclass(frozen=True)
class SequenceScores:
    """One sequence.

    name     of its folder
    objects  their values; `frames` holds frame numbers
    """

    name: str
    objects: tuple[ObjectScores, ...]

    def summary(self) -> RegionAndBoundary:
        """Mean over its objects."""
        return _mean(self.objects)


@dataclass(frozen=True)
class Scores:
    """What a folder of masks is worth.

    protocol   by whose rules
    sequences  in the order of names
    extra      predicted sequences that were passed over
    """

    protocol: str
    sequences: tuple[SequenceScores, ...]
    extra: tuple[str, ...] = ()

    def summary(self) -> RegionAndBoundary:
        """Mean over all objects of all sequences, as DAVIS and SA-V have it."""
        return _mean([item for sequence in self.sequences for item in sequence.objects])


def score_folders(
    predicted: Path,
    truth: Path,
    protocol: str | None = None,
    *,
    names: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """Score the masks of one folder against those of another.

    predicted, truth  SEQUENCE/00000.png ..., index PNGs; or SEQUENCE/OBJECT/00000.png ..., not 0 on the object
    protocol          a name of `metrics.protocols.PROTOCOLS`; for index PNGs "davis2017", else "sav" if not given
    names             the sequences that count; all of the truth's if not given
    workers           processes; as many as there are cores if not given
    progress          is told, after each few frames, how many are done of how many

    Only frames of the truth are looked at. Raises EvaluationError for whatever does not fit together.
    """
    found = pair_folders(predicted, truth, names)
    chosen = protocol or ("davis2017" if isinstance(found.pairs[0].truth, IndexFolder) else "sav")
    _check_protocol(chosen, found)
    chunks = [
        Chunk(place, pair, pair.truth.frames[start : start + CHUNK], chosen)
        for place, pair in enumerate(found.pairs)
        for start in range(0, len(pair.truth.frames), CHUNK)
    ]
    total = sum(len(chunk.frames) for chunk in chunks)
    done, measured = 0, []
    for chunk, part in zip(chunks, _measured(chunks, workers or os.cpu_count() or 1), strict=True):
        measured.append((chunk.place, part))
        done += len(chunk.frames)
        progress(done, total)
    sequences = (
        _sequence(found.pairs[place], join([part for _, part in parts]), chosen)
        for place, parts in groupby(measured, key=lambda item: item[0])
    )
    return Scores(chosen, tuple(sequences), found.extra)


@dataclass(frozen=True)
class Chunk:
    """Some frames of a sequence, for one process: the place of the sequence, itself, frames, and the protocol."""

    place: int
    pair: Pair
    frames: tuple[int, ...]
    protocol: str


def measure_chunk(chunk: Chunk) -> Measured:
    """All frames of a chunk."""
    protocol = find_protocol(chunk.protocol)
    return join([measure_frame(chunk.pair, frame, protocol) for frame in chunk.frames])


def _measured(chunks: list[Chunk], workers: int) -> Iterator[Measured]:
    """In the order of chunks."""
    if min(workers, len(chunks)) == 1:
        yield from map(measure_chunk, chunks)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads
    pool = ProcessPoolExecutor(min(workers, len(chunks)), context, initializer=_one_thread)
    try:
        yield from pool.map(measure_chunk, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    cv2.setNumThreads(1)  # the processes share the cores already


def _sequence(pair: Pair, measured: Measured, protocol: str) -> SequenceScores:
    try:
        objects = select(measured, find_protocol(protocol))
    except EvaluationError as error:
        raise EvaluationError(f"sequence {pair.name}: {error}") from error
    numbers = np.array(pair.truth.frames)
    return SequenceScores(pair.name, tuple(replace(item, frames=numbers[item.frames]) for item in objects))


def _check_protocol(name: str, found: Pairs) -> None:
    if find_protocol(name).prepare is not as_they_are:
        for pair in found.pairs:
            if not isinstance(pair.truth, IndexFolder):
                raise EvaluationError(
                    f"the protocol {name} takes index PNGs, and {pair.truth.folder} has a folder for each object; "
                    "give the protocol sav"
                )


def _mean(objects: Sequence[ObjectScores]) -> RegionAndBoundary:
    summaries = [item.summary() for item in objects]
    return RegionAndBoundary(average(item.region for item in summaries), average(item.boundary for item in summaries))
