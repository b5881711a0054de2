"""A mapping by frame: older ones stay as they were."""

from __future__ import annotations

from masklet.video.paged import PAGE, Paged


def test_an_older_mapping_stays_as_it_was() -> None:
    frames = [0, 1, PAGE, PAGE - 1, 5 * PAGE]
    versions: list[Paged[str]] = [Paged()]
    for frame in frames:
        versions.append(versions[-1].adding(frame, f"frame {frame}"))
    for count, version in enumerate(versions):
        assert dict(version) == {frame: f"frame {frame}" for frame in frames[:count]}
        assert len(version) == count
    newest = versions[-1]
    changed = newest.adding(PAGE, "another").without(0)
    assert (newest[PAGE], changed[PAGE]) == (f"frame {PAGE}", "another")
    assert 0 in newest
    assert 0 not in changed
    assert dict(changed.without(3 * PAGE)) == dict(changed)
