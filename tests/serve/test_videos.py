"""Video jobs: sent or fetched, watched, cancelled, gone on with after a restart; equal to the tracker."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import httpx2
import numpy as np
import pytest

from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError, MediaError, SessionError
from masklet.jobs import track
from masklet.serve import videos
from masklet.serve.server import Service, application
from masklet.serve.videos import VideoDesk, VideoJob, check_allowed
from masklet.video import VideoTracker
from tests.app.conftest import write_scene
from tests.serve.conftest import RED, Begin, ended

PROMPTS = [{"frame": 0, "object": "red", "box": RED}]


def sent(client: httpx2.Client, clip: Path) -> str:
    answer = client.post("/v1/uploads", content=clip.read_bytes())
    assert answer.status_code == 201, answer.text
    upload: str = answer.json()["upload"]
    return upload


def test_an_upload_is_tracked_as_the_tracker_does(begin: Begin, clip: Path, tmp_path: Path) -> None:
    client = begin()
    upload = sent(client, clip)
    job = client.post("/v1/videos", json={"upload": upload, "prompts": PROMPTS, "overlay": True})
    assert job.status_code == 201, job.text
    done = ended(client, job.json()["id"])
    assert (done["state"], done["frames"], done["of"], done["sentence"]) == ("done", 24, 24, "")
    assert {"formats/coco.json", "overlay.mp4", "masks/00023.png"} <= set(done["results"])
    assert not [name for name in done["results"] if "session" in name]
    found = client.get(f"/v1/videos/{done['id']}/results/formats/coco.json").json()

    with VideoTracker(clip, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="red", box=RED)
        list(tracker.propagate())
        tracker.export(tmp_path / "alone.json", format="coco")
    alone = json.loads((tmp_path / "alone.json").read_text())
    assert [a["segmentation"] for a in found["annotations"]] == [a["segmentation"] for a in alone["annotations"]]

    assert [entry["id"] for entry in client.get("/v1/videos").json()["videos"]] == [done["id"]]
    assert client.delete(f"/v1/videos/{done['id']}").status_code == 204
    assert client.get(f"/v1/videos/{done['id']}").status_code == 404
    assert [client.delete(f"/v1/uploads/{upload}").status_code for _ in range(2)] == [204, 404]
    assert not list((tmp_path / "jobs/uploads").iterdir())


@pytest.fixture
def host(clip: Path) -> Iterator[str]:
    """The folder of the clip by HTTP; /away leads to the clip by another address."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/films/away"):
                self.send_response(302)
                self.send_header("Location", "/squares.mp4")
                self.end_headers()
            else:
                self.path = self.path.replace("/films", "")
                super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(clip.parent)))
    thread = Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


def test_a_video_by_url(begin: Begin, host: str) -> None:
    client = begin(allowed=(f"{host}/films/",))
    job = client.post("/v1/videos", json={"url": f"{host}/films/squares.mp4", "prompts": PROMPTS}).json()
    assert ended(client, job["id"])["state"] == "done"
    away = client.post("/v1/videos", json={"url": f"{host}/films/away", "prompts": PROMPTS}).json()
    assert ended(client, away["id"])["state"] == "failed"
    missing = client.post("/v1/videos", json={"url": f"{host}/films/none.mp4", "prompts": PROMPTS}).json()
    assert "cannot be read" in ended(client, missing["id"])["sentence"]


def test_a_fetched_video_is_no_larger_than_one_that_is_sent(begin: Begin, host: str) -> None:
    client = begin(allowed=(f"{host}/films/",), largest_video=1000)
    job = client.post("/v1/videos", json={"url": f"{host}/films/squares.mp4", "prompts": PROMPTS}).json()
    found = ended(client, job["id"])
    assert found["state"] == "failed"
    assert "has more than 1000 bytes" in found["sentence"]


def test_a_cancel_comes_before_the_start_or_after_it(tmp_path: Path, clip: Path) -> None:
    """Never in between: what was told to be cancelled does not run, so that it may be removed."""
    desk = VideoDesk(FakeEngine(), tmp_path / "jobs")

    class Turncoat(VideoJob):
        """A job that somebody cancels while its worker looks whether it waits."""

        cancels: Thread | None = None

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            looks = name == "state" and value == "waiting" and current_thread().name.startswith("masklet-videos")
            if looks and super().__getattribute__("cancels") is None:
                self.cancels = Thread(target=lambda: told.append(desk.cancel(self.id).state))
                self.cancels.start()
                self.cancels.join(0.2)
            return value

    told: list[str] = []
    upload = desk.upload_place()
    upload.write_bytes(clip.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(videos, "VideoJob", Turncoat)
        job = desk.create({"upload": upload.name, "prompts": PROMPTS})
    for _ in range(200):
        if told and job.state in ("cancelled", "done"):
            break
        time.sleep(0.05)
    desk.close()
    assert job.state == "cancelled"
    assert told == ["running"]  # it had begun: who asked knows that it ends at its next frame


@pytest.mark.parametrize(
    "url",
    [
        "http://a.org/other/x.mp4",
        "http://a.org.evil.org/films/x.mp4",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://a.org/films/../x.mp4",
        "http://a.org/films/%2e%2e/x.mp4",
        "http://a.org/films/%252e%252e/x.mp4",
        "http://a.org/films/..%2Fx.mp4",
        "http://a.org/films/..%5cx.mp4",
        "http://a.org/films/x\n.mp4",
        "http://a.org/films/x.zip::file:///etc/passwd",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(MediaError, match=re.escape("may not be fetched; the server allows http://a.org/films/")):
        check_allowed(url, ("http://a.org/films/",))
    check_allowed("http://a.org/films/deep/x%20y.mp4?key=a%2Fb", ("http://a.org/films/",))


class Held:
    """Stops following before a frame until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
        self.reached, self.go_on = Event(), Event()
        follow = track.follow

        def held(*arguments: Any) -> Iterator[Any]:
            for result in follow(*arguments):
                if result.frame == before and not self.go_on.is_set():
                    self.reached.set()
                    assert self.go_on.wait(60)
                yield result

        monkeypatch.setattr(track, "follow", held)


def test_cancel(begin: Begin, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, client = Held(monkeypatch, 5), begin()
    upload = sent(client, clip)
    first, second = (client.post("/v1/videos", json={"upload": upload, "prompts": PROMPTS}).json() for _ in range(2))
    assert held.reached.wait(60)
    assert client.get(f"/v1/videos/{first['id']}").json()["frames"] == 5
    assert client.delete(f"/v1/videos/{first['id']}").status_code == 409
    assert client.delete(f"/v1/uploads/{upload}").status_code == 409
    assert client.post(f"/v1/videos/{second['id']}/cancel").json()["state"] == "cancelled"
    client.post(f"/v1/videos/{first['id']}/cancel")
    held.go_on.set()
    done = ended(client, first["id"])
    assert (done["state"], done["frames"]) == ("cancelled", 6)
    assert "masks/00005.png" in done["results"]
    assert "masks/00006.png" not in done["results"]


def test_what_was_tracked_both_ways_until_then_is_written(
    begin: Begin, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, client = Held(monkeypatch, 5), begin()
    asked = {"upload": sent(client, clip), "prompts": PROMPTS, "direction": "both"}
    job = client.post("/v1/videos", json=asked).json()["id"]
    assert held.reached.wait(60)
    client.post(f"/v1/videos/{job}/cancel")
    held.go_on.set()
    done = ended(client, job)
    assert done["state"] == "cancelled"
    assert [name for name in done["results"] if name.startswith("masks/")] == [f"masks/0000{n}.png" for n in range(6)]


def test_a_full_disk_ends_no_other_job(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs/uploads").mkdir(parents=True)
    (tmp_path / "jobs/uploads/left.partial").write_bytes(b"of a server that was killed")
    desk = VideoDesk(FakeEngine(), tmp_path / "jobs")
    assert not list((tmp_path / "jobs/uploads").iterdir())
    place = desk.upload_place()
    place.write_bytes(clip.read_bytes())
    write, full = videos.write_whole, iter((False, True))  # it takes the first job, and not how that ended

    def refused(path: Path, text: str) -> None:
        if next(full, False):
            raise FormatError(f"{path} cannot be written: No space left on device")
        write(path, text)

    monkeypatch.setattr(videos, "write_whole", refused)
    late = {"upload": place.name, "prompts": [{**PROMPTS[0], "frame": 99}]}
    first = desk.create(late)
    until = time.monotonic() + 60
    while first.state != "failed" and time.monotonic() < until:
        time.sleep(0.01)
    second = desk.create(late)
    while second.state != "failed" and time.monotonic() < until:
        time.sleep(0.01)
    desk.close()
    assert (first.state, second.state) == ("failed", "failed")


def test_a_stopped_server_goes_on(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, 9)
    desk = VideoDesk(FakeEngine(), tmp_path / "jobs")
    place = desk.upload_place()
    place.write_bytes(clip.read_bytes())
    asked = {"upload": place.name, "prompts": PROMPTS, "direction": "forward"}
    name = desk.create(asked).id
    assert held.reached.wait(60)
    with pytest.raises(SessionError, match="another run works there"):
        VideoDesk(FakeEngine(), tmp_path / "jobs")
    closing = Thread(target=desk.close)
    closing.start()
    while not desk._closing.is_set():
        time.sleep(0.01)
    held.go_on.set()
    closing.join()
    assert desk.job(name).state == "waiting"

    again = VideoDesk(FakeEngine(), tmp_path / "jobs")
    until = time.monotonic() + 60
    while again.job(name).state != "done" and time.monotonic() < until:
        time.sleep(0.02)
    again.close()
    assert (again.job(name).state, again.job(name).sentence) == ("done", "")
    assert len(list((tmp_path / f"jobs/jobs/{name}/results/masks").iterdir())) == 24


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "give the video as upload, the id of one, or as url"),
    ({"upload": "../../etc/passwd", "prompts": PROMPTS}, 404, "there is no upload"),
    ({"upload": "0" * 16, "prompts": PROMPTS}, 404, "there is no upload"),
    ({"url": "http://localhost/x.mp4", "prompts": PROMPTS}, 400, "may not be fetched; the server allows no URL"),
    ({"upload": "UP"}, 422, "give prompts, a list, or everything"),
    ({"upload": "UP", "prompts": [{"circle": 3}]}, 422, "which is no prompt"),
    ({"upload": "UP", "prompts": [{"points": [[10**400, 1]]}]}, 422, "which is no prompt"),
    ({"upload": "UP", "prompts": [{"mask": "/etc/passwd"}]}, 422, "a mask as prompt cannot be sent here"),
    ({"upload": "UP", "prompts": PROMPTS, "formats": ["gif"]}, 422, "unknown format 'gif'"),
    ({"upload": "UP", "prompts": PROMPTS, "formats": ["os:system"]}, 422, "formats is a list of names"),
    ({"upload": "UP", "prompts": PROMPTS, "formats": ["voc"]}, 422, "voc is no file or folder of one video"),
    ({"upload": "UP", "prompts": PROMPTS, "overlay": "false"}, 422, "overlay is 'false'; give true or false"),
    ({"upload": "UP", "prompts": PROMPTS, "everything": "false"}, 422, "everything is 'false'; give true or false"),
    ({"upload": "UP", "prompts": PROMPTS, "direction": "up"}, 422, "direction is 'up'"),
    ({"upload": "UP", "prompts": PROMPTS, "policy": "os:system"}, 422, "the request has policy, which nothing knows"),
]


def test_what_makes_no_sense(begin: Begin, clip: Path) -> None:
    client = begin(largest_video=clip.stat().st_size)
    upload = sent(client, clip)
    for said, status, sentence in BAD:
        answer = client.post("/v1/videos", json={k: upload if v == "UP" else v for k, v in said.items()})
        assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.text
    assert client.get("/v1/videos").json() == {"videos": []}
    assert client.post("/v1/uploads", content=clip.read_bytes() + b"0").status_code == 413
    late = client.post("/v1/videos", json={"upload": upload, "prompts": [{**PROMPTS[0], "frame": 99}]}).json()
    assert "99" in ended(client, late["id"])["sentence"]
    for path in ("../job.json", "session.masklet", "%2e%2e/job.json"):
        assert client.get(f"/v1/videos/{late['id']}/results/{path}").status_code == 404


@pytest.mark.parametrize(("path", "method"), [("/v1/uploads", "POST"), ("/v1/pictures", "POST")])
def test_a_program_that_goes_away_is_no_fault(tmp_path: Path, path: str, method: str) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    service = Service(FakeEngine(), tmp_path / "jobs")
    scope = {"type": "http", "path": path, "method": method, "query_string": b"", "headers": [(b"host", b"localhost")]}
    asyncio.run(application(service)(scope, receive, send))
    service.close()
    assert not list((tmp_path / "jobs/uploads").iterdir())


def test_tokens(begin: Begin) -> None:
    client = begin(tokens=("one", "two"))
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/v1/videos").status_code == 401
    assert client.get("/v1/videos", headers={"Authorization": "Bearer three"}).status_code == 401
    assert client.get("/v1/videos", headers={"Authorization": "Bearer two"}).status_code == 200


def test_pages_of_other_places_and_names_that_lead_here_are_refused(begin: Begin) -> None:
    client = begin()
    assert client.get("/v1/videos").status_code == 200
    assert client.get("/v1/videos", headers={"Origin": "http://evil.org"}).status_code == 401
    assert client.get("/v1/videos", headers={"Host": "evil.org"}).status_code == 400


def test_every_request_is_described_by_schemas_that_are_there(begin: Begin) -> None:
    described = begin(tokens=("one",)).get("/openapi.json").json()
    operations = [one for item in described["paths"].values() for name, one in item.items() if name != "parameters"]
    assert len({one["operationId"] for one in operations}) == len(operations) == 12
    assert all(one["summary"].endswith(".") for one in operations)
    for reference in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)):
        assert reference in described["components"]["schemas"]


def test_what_a_person_should_know_is_told(tmp_path: Path) -> None:
    desk = VideoDesk(FakeEngine(), tmp_path / "jobs")
    place = desk.upload_place()
    write_scene(place.with_suffix(".mp4"), 2, lambda frame: np.full((96, 160, 3), 90, np.uint8)).rename(place)
    job = desk.create({"upload": place.name, "everything": True})
    until = time.monotonic() + 60
    while job.state not in ("done", "failed") and time.monotonic() < until:
        time.sleep(0.01)
    desk.close()
    assert job.state == "done"
    assert "nothing is found in it" in job.sentence
