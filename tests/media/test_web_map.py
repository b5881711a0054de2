"""Maps by the URL of their tiles: pixels where they lie, at a zoom or a resolution on the ground."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform

from masklet import LargePicture
from masklet.errors import MediaError
from masklet.media import large
from tests.cli.conftest import Read, Run
from tests.cli.conftest import run as run
from tests.cli.conftest import weights as weights
from tests.media.map_server import MapServer, map_server

PLACE = (11.55, 48.13, 11.552, 48.1315)
"""West, south, east, north."""


def gradients(columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.stack((columns % 251, rows % 241, (columns + rows) % 2 * 255), axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def world() -> Iterator[MapServer]:
    with map_server(gradients) as server:
        yield server


def pixel_of(place: tuple[float, float], zoom: int) -> tuple[int, int]:
    """The pixel of the world at a longitude and a latitude, by the formula of web maps."""
    x = (place[0] + 180) / 360
    y = (1 - np.arcsinh(np.tan(np.radians(place[1]))) / np.pi) / 2
    return int(x * (256 << zoom)), int(y * (256 << zoom))


def test_pixels_of_a_zoom_lie_where_they_should(world: MapServer) -> None:
    world.asked.clear()
    with LargePicture(world.url, bounds=PLACE, zoom=18) as picture:
        height, width = picture.size
        image = picture.read((0, 0, width, height))
        left, top = pixel_of((PLACE[0], PLACE[3]), 18)
        right, bottom = pixel_of((PLACE[2], PLACE[1]), 18)
        assert (width, height) == (right - left + 1, bottom - top + 1)
        rows, columns = np.mgrid[top : bottom + 1, left : right + 1]
        np.testing.assert_array_equal(image, gradients(columns, rows))
        before = len(world.asked)
        assert before == len({*world.asked}) <= 9, "each tile is fetched once"
        assert "?key=a&b=1" in world.asked[0]
        picture.read((0, 0, width, height))
        assert len(world.asked) == before
        middle = (11.551, 48.1307)
        ((x, y),) = picture.pixels([middle]).round().astype(int)
        assert pixel_of(middle, 18) == (left + x, top + y)
        assert picture.name == "127.0.0.1"
        assert picture.ground is not None
        assert rasterio.CRS.from_wkt(picture.ground.crs).to_epsg() == 3857


def test_a_resolution_is_metres_on_the_ground(world: MapServer) -> None:
    """Metres of the web's map are 1.5 times as many here as those on the ground."""
    with LargePicture(world.url, bounds=PLACE, resolution=0.5) as picture:
        assert picture.ground is not None
        crs = rasterio.CRS.from_wkt(picture.ground.crs)
        assert crs.to_epsg() == 32632
        assert picture.ground.transform[0] == 0.5
        assert picture.ground.transform[2] % 0.5 == 0
        world.asked.clear()
        image = picture.read((50, 50, 80, 80))
        assert {path.split("/")[1] for path in world.asked} == {"18"}, "the lowest zoom that shows half a metre"
        (longitude,), (latitude,) = transform(crs, "EPSG:4326", *picture.ground.places([(65.5, 65.5)]).T)
        x, y = pixel_of((longitude, latitude), 18)
        expected = gradients(np.array(x), np.array(y)).astype(int)
        assert (np.abs(image[15, 15, :2].astype(int) - expected[:2]) <= 2).all()
        ((x, y),) = picture.pixels([(longitude, latitude)])
        assert (x, y) == pytest.approx((65, 65), abs=1e-3)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"zoom": 18}, "127.0.0.1 shows the whole world; give bounds: west,south,east,north in degrees"),
        ({"bounds": PLACE}, "nothing says how finely 127.0.0.1 is to be read; give a resolution or a zoom"),
        ({"bounds": (1, 2, 3), "zoom": 3}, "the bounds are 1,2,3; give west,south,east,north"),
        ({"bounds": (11, 48, 10, 49), "zoom": 3}, "the bounds are 11,48,10,49; give west,south,east,north"),
        ({"bounds": (1, 2, 3, 86), "zoom": 3}, "the bounds are 1,2,3,86; .*within 180 and 85"),
        ({"bounds": (0, 0, 10, 10), "zoom": 18}, r"would be 53,\d+,\d+ tiles of zoom 18, and 4,096 are the most"),
        ({"bounds": PLACE, "zoom": 24}, "the zoom is 24; give a whole number from 0 to 23"),
        ({"bounds": PLACE, "resolution": 0}, "the resolution is 0; give metres a pixel, over 0"),
    ],
)
def test_what_is_asked_of_tiles_and_makes_no_sense(world: MapServer, wishes: dict[str, object], said: str) -> None:
    world.asked.clear()
    with pytest.raises(MediaError, match=said):
        LargePicture(world.url, **wishes)  # type: ignore[arg-type]
    assert world.asked == []


def test_a_url_that_is_none_of_tiles() -> None:
    with pytest.raises(MediaError, match=r"a\.tif has no \{z\}; give the URL of tiles, such as https://host/\{z\}"):
        LargePicture("https://host/a.tif", bounds=PLACE, zoom=3)


def test_tiles_that_fail_are_told_in_a_sentence(run: Run, capsys: Read, tmp_path: Path) -> None:
    with map_server(gradients) as server:
        url = server.url
        for status, body, said in (
            (404, b"", r"127\.0\.0\.1 cannot be read at .*: its server answers HTTP 404 for the tile x 139482, y 909"),
            (503, b"", "its server answers HTTP 503"),
            (200, b"<html>", "a tile is no picture that can be read; is the URL right?"),
        ):
            server.status, server.body = status, body
            with LargePicture(url, bounds=PLACE, zoom=18) as picture, pytest.raises(MediaError, match=said):
                picture.read((0, 0, 9, 9))
    with LargePicture(url, bounds=PLACE, zoom=18) as picture, pytest.raises(MediaError) as gone:
        picture.read((0, 0, 9, 9))
    assert "is the URL right, and is there a network?" in str(gone.value)
    command = ["segment", url, "--zoom", "18", "--bounds", ",".join(map(str, PLACE)), "--map", "--point"]
    assert run(*command, "11.551,48.1307", "--out", f"{tmp_path}/a.gpkg") == 1
    told = capsys.readouterr().err
    assert "is there a network?" in told
    assert "Traceback" not in told


def test_commands_from_tiles_to_a_geopackage(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    left, top = pixel_of((PLACE[0], PLACE[3]), 18)

    def roof(columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        inside = (columns >= left + 150) & (columns < left + 230) & (rows >= top + 120) & (rows < top + 190)
        return np.where(inside[..., None], (200, 80, 60), (60, 110, 60)).astype(np.uint8)

    with map_server(roof) as server:
        command = [server.url, "--bounds", ",".join(map(str, PLACE)), "--zoom", "18", "--out"]
        assert run("segment", *command, f"{tmp_path}/roof.gpkg", "--map", "--point", "11.55102,48.13083") == 0
        info = pyogrio.read_info(f"{tmp_path}/roof.gpkg")
        assert rasterio.CRS.from_user_input(info["crs"]).to_epsg() == 3857
        step, side = 2 * large.HALF / (256 << 18), large.HALF
        truth = np.array([left + 150, top + 190, left + 230, top + 120]) * step * (1, -1, 1, -1) + (-side, side) * 2
        np.testing.assert_allclose(info["total_bounds"], truth, atol=4 * step)
        assert run("everything", *command, f"{tmp_path}/all.json", "--points-per-side", "2", "--model", weights) == 0
        (image,) = json.loads((tmp_path / "all.json").read_text())["images"]
        assert image["file_name"] == "127.0.0.1"
        capsys.readouterr()
        assert run("segment", *command, f"{tmp_path}/b.gpkg", "--map", "--point", "12,48") == 1
        assert "a place lies outside of 127.0.0.1, which reaches from 11.549" in capsys.readouterr().err.replace(
            "\n", " "
        )
    for wrong, said in (("1,2", "the bounds are 1,2"), ("a,b,c,d", "the bounds are ;")):
        assert run("segment", server.url, "--bounds", wrong, "--zoom", "3", "--point", "1,2", "--out", "a.json") == 1
        assert said in capsys.readouterr().err
