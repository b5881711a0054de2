"""Maps: polygons and rasters in the coordinates of the picture, read back by GDAL."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.features import rasterize

import masklet
from masklet.errors import FormatError, MediaError
from masklet.geometry import Ground
from masklet.image import MaskSet
from masklet.masks.rle import cut_patch, encode_rle, from_rle
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

UTM = "EPSG:32632"
SIZE = (90, 120)
PLACE = rasterio.Affine(0.5, 0, 691_000.25, 0, -0.5, 5_334_800.75)


def roofs() -> list[np.ndarray]:
    """A roof with a yard, and two parts of another."""
    one, two = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    one[10:40, 12:50] = True
    one[20:30, 22:34] = False
    two[50:70, 60:80] = two[75:85, 90:115] = True
    return [one, two]


def mask_set(masks: list[np.ndarray], ground: Ground | None) -> MaskSet:
    count = len(masks)
    patches = [cut_patch(mask) for mask in masks]
    ones = np.ones(count, np.float32)
    return MaskSet(
        picture_size=SIZE, patches=tuple(p for p in patches if p), stability=ones, points=np.zeros((count, 2)),
        crops=np.zeros((count, 4), np.int64), iou=ones * 0.75, presence=ones, objects=np.arange(count),
        candidates=np.zeros(count, np.int64), name="city.tif", ground=ground,
    )  # fmt: skip


def geotiff(path: Path, image: np.ndarray, crs: str | None = UTM, place: rasterio.Affine = PLACE) -> Path:
    height, width, bands = image.shape
    with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=bands, dtype="uint8", crs=crs,
                       transform=place) as file:  # fmt: skip
        file.write(image.transpose(2, 0, 1))
    return path


def test_masks_of_a_map_are_converted_with_it(run: Run, tmp_path: Path) -> None:
    city = geotiff(tmp_path / "city.tif", np.zeros((*SIZE, 3), np.uint8))
    mask_set(roofs(), None).save(tmp_path / "a.json")
    assert run("convert", tmp_path / "a.json", "--out", tmp_path / "a.gpkg", "--video", city) == 0
    info, _, shapes, columns = pyogrio.raw.read(tmp_path / "a.gpkg")
    assert rasterio.CRS.from_user_input(info["crs"]) == rasterio.CRS.from_user_input(UTM)
    mask_set(roofs(), Ground(UTM, tuple(PLACE)[:6])).save(tmp_path / "same.gpkg")  # type: ignore[arg-type]
    assert [*shapes] == [*pyogrio.raw.read(tmp_path / "same.gpkg")[2]]


@pytest.mark.parametrize("ending", [".gpkg", ".geojson"])
def test_polygons_cover_the_masks_on_the_ground(tmp_path: Path, ending: str) -> None:
    ground = Ground(rasterio.CRS.from_user_input(UTM).to_wkt(), tuple(PLACE)[:6])  # type: ignore[arg-type]
    mask_set(roofs(), ground).save(tmp_path / f"a{ending}")
    info, _, shapes, columns = pyogrio.raw.read(tmp_path / f"a{ending}")
    assert rasterio.CRS.from_user_input(info["crs"]) == rasterio.CRS.from_user_input(UTM)
    fields = dict(zip(info["fields"], columns, strict=True))
    assert fields["object"].tolist() == [1, 2]
    assert fields["area"].tolist() == [int(mask.sum()) for mask in roofs()]
    np.testing.assert_allclose(fields["score"], 0.75, atol=1e-6)
    assert len(shapes) == 2
    collection = tmp_path / "same.geojson"
    pyogrio.raw.write(collection, shapes, [], [], driver="GeoJSON", geometry_type="MultiPolygon", crs=UTM)
    parts = [feature["geometry"] for feature in json.loads(collection.read_text())["features"]]
    for geometry, mask in zip(parts, roofs(), strict=True):
        filled = rasterize([geometry], SIZE, transform=PLACE)
        np.testing.assert_array_equal(filled.astype(bool), mask)


def test_pixels_that_share_a_corner_are_two_polygons(tmp_path: Path) -> None:
    """One polygon would touch itself there, which programs for maps call invalid."""
    diagonal = np.zeros(SIZE, bool)
    diagonal[[3, 4], [5, 6]] = True
    mask_set([diagonal], Ground(UTM, tuple(PLACE)[:6])).save(tmp_path / "a.geojson")  # type: ignore[arg-type]
    (feature,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [len(ring) for polygon in feature["geometry"]["coordinates"] for ring in polygon] == [5, 5]


def test_simpler_polygons_have_fewer_corners(tmp_path: Path) -> None:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    disk = (rows - 45) ** 2 + (columns - 60) ** 2 < 30**2
    found = mask_set([disk], Ground(UTM, tuple(PLACE)[:6]))  # type: ignore[arg-type]
    sizes = []
    for tolerance in (0.0, 1.5):
        found.save(tmp_path / "a.geojson", tolerance=tolerance)
        (ring,) = json.loads((tmp_path / "a.geojson").read_text())["features"][0]["geometry"]["coordinates"][0]
        sizes.append(len(ring))
        assert ring[0] == ring[-1]
    assert sizes[1] < sizes[0] / 3


def test_a_raster_lies_in_the_grid_of_the_picture(tmp_path: Path) -> None:
    mask_set(roofs(), Ground(UTM, tuple(PLACE)[:6])).save(tmp_path / "a.tif")  # type: ignore[arg-type]
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.crs == rasterio.CRS.from_user_input(UTM)
        assert file.transform == PLACE
        np.testing.assert_array_equal(file.read(1), roofs()[0] + 2 * roofs()[1].astype(int))


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".tif"])
def test_without_a_place_and_without_masks(tmp_path: Path, ending: str) -> None:
    with pytest.raises(FormatError, match=r"is a map, and city\.tif does not say where it lies; give a GeoTIFF"):
        mask_set(roofs(), None).save(tmp_path / f"a{ending}")
    assert list(tmp_path.iterdir()) == []
    mask_set([], Ground(UTM, tuple(PLACE)[:6])).save(tmp_path / f"a{ending}")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == [f"a{ending}"]


@given(st.tuples(*[st.floats(-3, 3)] * 4), st.tuples(*[st.floats(-1e6, 1e6)] * 2), st.integers(0, 50))
def test_places_and_corners_are_inverse(turn: tuple[float, ...], origin: tuple[float, float], step: int) -> None:
    a, b, d, e = turn
    if abs(a * e - b * d) < 0.1:
        return
    ground = Ground(UTM, (a, b, origin[0], d, e, origin[1]))
    corners = np.array([(0, 0), (7, 3), (50.5, 20)])
    np.testing.assert_allclose(ground.corners(ground.places(corners)), corners, atol=1e-4)
    np.testing.assert_allclose(
        ground.moved(step, 3).places(corners), ground.places(corners + np.array((step, 3))), atol=1e-6
    )


def test_a_patch_of_run_lengths() -> None:
    for mask in roofs():
        assert from_rle(encode_rle(mask)) == cut_patch(mask)
    assert from_rle(encode_rle(np.zeros(SIZE, bool))) is None


def test_a_picture_at_another_resolution_lies_where_it_lay(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 255, (9, 12, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    path = geotiff(tmp_path / "city.tif", image)
    with masklet.LargePicture(path) as plain, masklet.LargePicture(path, resolution=1.0) as coarse:
        assert coarse.size[0] in (45, 46)
        assert coarse.ground is not None
        assert plain.ground is not None
        assert coarse.ground.transform[0] == 1
        assert coarse.ground.transform[2] == 691_000  # a multiple of the resolution
        place = plain.ground.places([(25, 35)])  # the middle of a block
        ((x, y),) = coarse.pixels(place).round().astype(int)
        np.testing.assert_allclose(coarse.read((x, y, x + 1, y + 1))[0, 0], image[35, 25], atol=2)
    with pytest.raises(MediaError, match="the resolution is -1"):
        masklet.LargePicture(path, resolution=-1)
    degrees = geotiff(tmp_path / "degrees.tif", image, "EPSG:4326", rasterio.Affine(1e-5, 0, 11.5, 0, -1e-5, 48.1))
    with masklet.LargePicture(degrees, resolution=1) as picture:
        assert picture.ground is not None
        assert rasterio.CRS.from_wkt(picture.ground.crs) == rasterio.CRS.from_user_input(UTM)
        assert picture.size == pytest.approx(
            (90 * 1.112, 120 * 0.743), abs=6
        )  # a degree is 111.2 and 74.3 km; UTM turns it
        ((x, y),) = picture.pixels([(11.5 + 65e-5, 48.1 - 35e-5)]).round().astype(int)  # in its own CRS
        np.testing.assert_allclose(picture.read((x, y, x + 1, y + 1))[0, 0], image[35, 65], atol=2)


def test_a_resolution_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "city.tif", np.zeros((9, 12, 3), np.uint8))
    with pytest.raises(MediaError, match=r"would have \d+ x \d+ pixels of 1e-09 m; give more"):
        masklet.LargePicture(path, resolution=1e-9)


def test_a_map_of_what_lies_nowhere_is_refused_before_the_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("masklet.image.segment_tiles", lambda *_: pytest.fail("the work began"))
    path = tmp_path / "plain.png"
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(path)
    assert run("everything", path, "--out", tmp_path / "a.gpkg") == 1
    assert "plain.png does not say where it lies;" in capsys.readouterr().err.replace("\n", " ")


def test_commands_go_from_geotiff_to_geopackage(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.full((*SIZE, 3), (60, 110, 60), np.uint8)
    image[roofs()[0] | np.roll(roofs()[0], 8, axis=1)] = (200, 90, 70)
    path = geotiff(tmp_path / "city.tif", image)
    x, y = PLACE * (30.5, 15.5)
    assert run("segment", path, "--map", "--point", f"{x},{y}", "--out", tmp_path / "roof.gpkg", "--simplify", "1") == 0
    info, _, shapes, _ = pyogrio.raw.read(tmp_path / "roof.gpkg")
    assert len(shapes) == 1
    west, south, east, north = pyogrio.read_info(tmp_path / "roof.gpkg")["total_bounds"]
    assert west - 1 <= x <= east + 1
    assert south - 1 <= y <= north + 1
    command = ["everything", path, "--out", tmp_path / "all.geojson", "--resolution", "0.5", "--points-per-side", "6"]
    assert run(*command) == 0
    assert json.loads((tmp_path / "all.geojson").read_text())["crs"]["properties"]["name"].endswith("32632")
    capsys.readouterr()
    assert run("segment", path, "--map", "--point", "0,0", "--out", tmp_path / "none.gpkg") == 1
    assert "a place lies outside of city.tif, which reaches from 691000.25,5334800.75 to" in capsys.readouterr().err
    bare = geotiff(tmp_path / "bare.tif", image, None)
    assert run("everything", bare, "--out", tmp_path / "b.gpkg", "--points-per-side", "2") == 1
    assert "does not say where it lies; give a GeoTIFF, or write coco" in capsys.readouterr().err
    assert run("everything", bare, "--out", tmp_path / "b.json", "--resolution", "1") == 1
    assert "bare.tif does not say where it lies on the ground; give a GeoTIFF with a CRS" in capsys.readouterr().err
    assert run("everything", path, "--out", tmp_path / "b.json", "--simplify", "1") == 2
    assert "--simplify is for polygons of maps" in capsys.readouterr().err
    assert not (tmp_path / "b.gpkg").exists()
