"""HDR on an ordinary screen: figures from the recommendations, and whole videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masklet.footage import HLG, PQ, REFERENCE_WHITE, light_to_pq, pq_to_light
from masklet.media.display import PEAK_LUMINANCE, compressed, tone_map
from masklet.media.video_file import VideoFile
from tests.media.clips import write_grey


def pq(light: float) -> float:
    return float(light_to_pq(np.array(light)))


def test_pq_by_its_published_figures() -> None:
    # ITU-R BT.2408, table 1: 203 cd/m² are 58 %, 1000 cd/m² 75 % of PQ.
    assert (round(pq(203), 2), round(pq(1000), 2), pq(10000), round(pq(0), 6)) == (0.58, 0.75, 1.0, 0.000001)
    light = np.array([0.01, 1.0, 100.0, 5000.0])
    np.testing.assert_allclose(pq_to_light(light_to_pq(light)), light, rtol=1e-9)


def test_compression_keeps_the_dark_and_brings_the_peak_to_white() -> None:
    np.testing.assert_allclose(compressed(np.array([1.0, 20.0, 80.0])), [1.0, 20.0, 80.0], rtol=1e-6)
    np.testing.assert_allclose(compressed(np.array([PEAK_LUMINANCE, 4 * PEAK_LUMINANCE])), REFERENCE_WHITE, rtol=1e-6)
    light = compressed(np.linspace(0, PEAK_LUMINANCE, 500))
    assert (np.diff(light) > 0).all()


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_grey_stays_grey_and_grows(transfer: int) -> None:
    signal = np.linspace(0, 65535, 256).astype(np.uint16)
    image = tone_map(np.repeat(signal[None, :, None], 3, axis=2), transfer)[0].astype(int)
    assert np.ptp(image, axis=1).max() <= 1
    assert (np.diff(image[:, 0]) >= 0).all()
    assert (image[0] == 0).all()
    assert (image[-1] == 255).all()


def test_hue_stays() -> None:
    red = np.array([[[40000, 20000, 20000]]], np.uint16)
    image = tone_map(red, PQ)[0, 0].astype(int)
    assert image[0] > image[1] + 50
    assert abs(image[1] - image[2]) < 40


@pytest.mark.parametrize(("light", "value"), [(0.0, 0), (10.0, 62), (90.0, 176), (203.0, 228), (1000.0, 255)])
def test_pq_video(tmp_path: Path, light: float, value: int) -> None:
    path = write_grey(tmp_path / "pq.mp4", round(64 + 876 * pq(light)), transfer=16)
    with VideoFile(path) as source:
        np.testing.assert_allclose(source.read(1).image.astype(int), value, atol=2)


def test_hlg_video(tmp_path: Path) -> None:
    # 75 % of HLG is the white of graphics, as 58 % of PQ is (BT.2408).
    with VideoFile(write_grey(tmp_path / "hlg.mp4", round(64 + 876 * 0.75), transfer=18)) as source:
        np.testing.assert_allclose(source.read(0).image.astype(int), 228, atol=2)


def test_ten_bits_of_ordinary_range_become_eight(tmp_path: Path) -> None:
    with VideoFile(write_grey(tmp_path / "sdr.mp4", 502, transfer=14)) as source:
        image = source.read(0).image
    np.testing.assert_allclose(image.astype(int), 127, atol=2)
