"""GeoTIFFs of one place over time: frames in one grid, in the order of dates, and results with dates."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio

from masklet import MediaError, VideoTracker
from masklet.engines.fake import FakeEngine
from masklet.media import series
from masklet.media.image_file import ImageFolder
from masklet.media.series import MapSeries, date_in
from masklet.media.source import open_video
from tests.cli.conftest import Read, Run
from tests.cli.conftest import run as run
from tests.cli.conftest import weights as weights

UTM, SIZE, CORNER = "EPSG:32632", (64, 80), (691_000.0, 5_334_800.0)
FIELD = (691_100.0, 5_334_400.0, 691_420.0, 5_334_640.0)
"""West, south, east, north in metres; pixels are of ten."""


def write_map(
    path: Path, *, step: float = 10.0, shift: tuple[float, float] = (0, 0), kind: str = "uint8", bright: int = 200,
    crs: str | None = UTM, **tags: str,
) -> Path:  # fmt: skip
    """A field in a meadow; `shift` moves the picture, not what it shows."""
    height, width = (round(side * 10 / step) for side in SIZE)
    place = rasterio.transform.from_origin(CORNER[0] + shift[0], CORNER[1] + shift[1], step, step)
    rows, columns = np.mgrid[:height, :width]
    x, y = place.c + (columns + 0.5) * step, place.f - (rows + 0.5) * step
    inside = (x > FIELD[0]) & (x < FIELD[2]) & (y > FIELD[1]) & (y < FIELD[3])
    image = np.where(inside, bright, bright // 4).astype(kind)
    settings = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": kind}
    with rasterio.open(path, "w", crs=crs, transform=place, **settings) as file:
        file.write(np.stack([image, image // 2, image // 3]))
        if "acquired" in tags:
            file.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=tags["acquired"])
        if "made" in tags:
            file.update_tags(TIFFTAG_DATETIME=tags["made"])
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three dates, the second with its picture moved and the third of finer pixels."""
    place = tmp_path / "dates"
    place.mkdir()
    write_map(place / "s_20260601.tif")
    write_map(place / "s_20260611.tif", shift=(50, -30))
    write_map(place / "s_20260501.tif", step=5.0)
    return place


def test_frames_come_by_date_in_the_grid_of_the_first(folder: Path) -> None:
    with open_video(folder) as source:
        assert isinstance(source, MapSeries)
        assert source.names == ("s_20260501.tif", "s_20260601.tif", "s_20260611.tif")
        assert source.dates[0] == datetime(2026, 5, 1)
        assert source.timestamps.tolist() == [0, 31 * 86_400, 41 * 86_400]
        assert source.size == (128, 160)
        assert source.read(2).time == 41 * 86_400
        assert source.ground.transform[:3] == (5, 0, CORNER[0])
        pictures = [source.read(frame).image for frame in range(3)]
    for image in pictures[1:]:
        same = image == pictures[0]
        assert same.all(axis=2).mean() > 0.85, "what lies still stays, but for the borders"
    assert not pictures[2][:, :8].any(), "what a picture does not show is black"
    coarse = MapSeries(folder, resolution=20)
    assert coarse.size == (32, 40)
    assert coarse.ground.transform[0] == 20


@pytest.mark.parametrize(
    ("said", "order"),
    [
        ([{"acquired": "2026-03-02 10:00:00"}, {"acquired": "2026-03-01 10:00:00"}], [1, 0]),
        ([{"acquired": "2026-03-02 10:00:00"}, {"made": "2026:03:01 10:00:00"}], [0, 1]),
        ([{"made": "2026:03:02 10:00:00"}, {"made": "2026:03:01 10:00:00"}], [1, 0]),
        ([{}, {}], [0, 1]),
    ],
)
def test_the_order_is_that_of_what_all_files_say(tmp_path: Path, said: list[dict[str, str]], order: list[int]) -> None:
    paths = [write_map(tmp_path / f"{'xy'[n]}.tif", **tags) for n, tags in enumerate(said)]  # type: ignore[arg-type]
    assert MapSeries(paths).files == tuple(paths[n] for n in order)
    assert open_video(paths).names == (("x.tif", "y.tif") if order == [0, 1] else ()), "else masks would sort otherwise"


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("S2A_MSIL1C_20260503T101559_N05", datetime(2026, 5, 3, 10, 15, 59)),
        ("field-2026-05-03", datetime(2026, 5, 3)),
        ("2026_05_03b", datetime(2026, 5, 3)),
        ("2026:05:03 04:05:06", datetime(2026, 5, 3, 4, 5, 6)),
        ("20260230", None),
        ("120260503", None),
        ("scene 7", None),
    ],
)
def test_dates_in_texts(text: str, date: datetime | None) -> None:
    assert date_in(text) == date


def test_what_is_no_series_of_one_place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_map(folder / "s_20260701.tif", shift=(10_000, 0))
    with (
        open_video(folder) as source,
        pytest.raises(MediaError, match=r"s_20260701\.tif lies elsewhere than s_20260501\.tif; give pictures of one"),
    ):
        source.read(3)
    with pytest.raises(MediaError, match="holds no GeoTIFF"):
        MapSeries(tmp_path)
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(MediaError, match=r"a\.tif does not say where it lies"):
        MapSeries([write_map(plain / "a.tif", crs=None)])
    monkeypatch.setattr(series, "MAX_MAP_PIXELS", 100)
    with pytest.raises(MediaError, match="has 160 x 128 pixels, too many for a frame; give a coarser resolution"):
        MapSeries(folder)
    monkeypatch.setattr(series, "find_spec", lambda _: None)
    assert isinstance(open_video(folder), ImageFolder)


def test_a_closed_series_and_one_without_rasterio(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_video(folder) as source:
        pass
    for frame in range(2):
        with pytest.raises(MediaError, match="was closed; open it again"):
            source.read(frame)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(MediaError, match=r"needs the package rasterio: pip install 'masklet\[geo\]'"):
        MapSeries(folder)


def test_sixteen_bits_by_levels(tmp_path: Path) -> None:
    paths = [write_map(tmp_path / f"{n}.tif", kind="uint16", bright=3000 // (n + 1)) for n in range(2)]
    dark = MapSeries(paths)
    assert dark.read(0).image.max() == 3000 >> 8
    shown = MapSeries(paths, levels=(0, 3000))
    assert [shown.read(frame).image.max() for frame in (0, 1)] == [255, 128]
    with pytest.raises(MediaError, match="the levels are 5,5; give two numbers"):
        MapSeries(paths, levels=(5, 5))


def test_a_tracked_field_has_a_polygon_and_a_raster_for_each_date(run: Run, folder: Path, tmp_path: Path) -> None:
    with VideoTracker(folder, FakeEngine()) as tracker:
        box = np.array([(FIELD[0], FIELD[3]), (FIELD[2], FIELD[1])])
        corners = tracker.source.ground.corners(box)  # type: ignore[union-attr]
        tracker.add_box(frame=0, object="field", box=corners.ravel())
        list(tracker.propagate())
        tracker.export(tmp_path / "fields.gpkg")
        tracker.export(tmp_path / "rasters", format="geotiff")
        tracker.save(tmp_path / "a.masklet")
    assert run("convert", tmp_path / "a.masklet", "--out", tmp_path / "again.geojson") == 0
    assert (tmp_path / "again.geojson").read_text().count('"date": "2026-06-01') == 1
    info, _, shapes, columns = pyogrio.raw.read(tmp_path / "fields.gpkg")
    fields = dict(zip(info["fields"], columns, strict=True))
    assert rasterio.CRS.from_user_input(info["crs"]) == rasterio.CRS.from_user_input(UTM)
    assert len(shapes) == 3
    assert fields["label"].tolist() == ["field"] * 3
    assert fields["frame"].tolist() == [0, 1, 2]
    assert fields["date"].astype("datetime64[D]").astype(str).tolist() == ["2026-05-01", "2026-06-01", "2026-06-11"]
    bounds = pyogrio.read_info(tmp_path / "fields.gpkg")["total_bounds"]
    np.testing.assert_allclose(bounds, FIELD, atol=30)
    names = sorted(path.name for path in (tmp_path / "rasters").iterdir())
    assert names == ["s_20260501.tif", "s_20260601.tif", "s_20260611.tif"]
    with rasterio.open(tmp_path / "rasters/s_20260601.tif") as file:
        assert file.crs == rasterio.CRS.from_user_input(UTM)
        assert file.transform[:3] == (5, 0, CORNER[0])
        assert file.read(1)[40, 60] == 1


def test_a_session_of_maps_by_their_paths_lies_where_the_given_folder_lies(
    run: Run, folder: Path, tmp_path: Path, capsys: Read
) -> None:
    with VideoTracker(sorted(folder.iterdir()), FakeEngine()) as tracker:
        tracker.add_mask(frame=0, object="field", mask=np.ones(tracker.size, bool))
        tracker.save(tmp_path / "b.masklet")
    assert run("convert", tmp_path / "b.masklet", "--video", folder, "--out", tmp_path / "b.geojson") == 0
    assert (tmp_path / "b.geojson").read_text().count('"date": "2026-05-01') == 1
    (folder / "s_20260611.tif").unlink()
    assert run("convert", tmp_path / "b.masklet", "--video", folder, "--out", tmp_path / "c.geojson") == 1
    assert "the number of frames is 3 there and 2 here; give that video" in capsys.readouterr().err


def test_commands_of_a_series(run: Run, folder: Path, tmp_path: Path, weights: Path, capsys: Read) -> None:
    command = ["track", folder, "--model", weights, "--no-overlay", "--out", tmp_path / "out"]
    prompts = ["--box", "0:field:10,16,42,40", "--resolution", "10", "--format", "gpkg", "--format", "geotiff"]
    assert run(*command, *prompts) == 0
    formats = tmp_path / "out/formats"
    assert len(list((formats / "geotiff").iterdir())) == 3
    assert sorted(path.stem for path in (tmp_path / "out/masks").iterdir())[0] == "s_20260501"
    assert run(*command, *prompts[:2], "--resolution", "20", "--format", "gpkg") == 1
    assert "was made with --resolution 10.0" in capsys.readouterr().err
    assert run(*command, *prompts[:2], "--window", "lung") == 1
    assert "dates is no volume; leave out --window" in capsys.readouterr().err
    (tmp_path / "films").mkdir()
    assert run("track", tmp_path / "films", *command[2:], *prompts[:2], "--levels", "1,2") == 1
    assert "films is no folder of GeoTIFFs; leave out --levels" in capsys.readouterr().err
    out = tmp_path / "again.geojson"
    assert run("convert", tmp_path / "out/masks", "--from", "davis", "--video", folder, "--out", out) == 1
    assert "has masks of (height, width) = (64, 80), and dates has (128, 160)" in capsys.readouterr().err
    assert run("convert", tmp_path / "out/session.masklet", "--out", out) == 1
    assert "A session tracked with --resolution or --levels does not say it either" in capsys.readouterr().err
