// The page: a video on a canvas, clicks, and the mask over it.
import { Tracker, enlarged } from "./tracker.js";

const RATE = 10; // frames that are followed of each second

const [stage, follow, stop, file, status] = ["stage", "follow", "stop", "file", "status"].map((id) => document.getElementById(id));
const video = document.createElement("video"), square = document.createElement("canvas"), tint = document.createElement("canvas");
let tracker, frame = 0, clicks = [], busy = false, stopped = false;

async function show(number) {
  const ready = new Promise((seen, failed) => { video.onseeked = seen; video.onerror = failed; });
  video.currentTime = number / RATE + 0.001;
  await ready;
  frame = number;
  paint(null);
}

function pixels() {
  square.width = square.height = tracker.side;
  const context = square.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, tracker.side, tracker.side);
  return context.getImageData(0, 0, tracker.side, tracker.side).data;
}

function paint(logits) {
  const context = stage.getContext("2d");
  context.drawImage(video, 0, 0, stage.width, stage.height);
  if (!logits) return;
  const side = tracker.side, inside = enlarged(logits, side / 4, 4), colours = new ImageData(side, side);
  inside.forEach((value, i) => { if (value > 0) colours.data.set([255, 90, 40, 140], 4 * i); });
  tint.width = tint.height = side;
  tint.getContext("2d").putImageData(colours, 0, 0);
  context.drawImage(tint, 0, 0, stage.width, stage.height);
  stage.dataset.area = inside.reduce((sum, value) => sum + (value > 0), 0);
  stage.dataset.frame = frame;
}

async function working(text, work) {
  if (busy) return;
  busy = true;
  status.textContent = text;
  try { status.textContent = await work(); } catch (error) { status.textContent = `That failed: ${error.message ?? error}`; }
  busy = false;
}

stage.onclick = (event) => working("Looking ...", async () => {
  const scale = tracker.side / stage.clientWidth, tall = tracker.side / stage.clientHeight;
  clicks.push({ x: event.offsetX * scale, y: event.offsetY * tall, label: event.shiftKey ? 0 : 1 });
  paint(await tracker.click(frame, pixels(), clicks));
  follow.disabled = false;
  return "Click again to say more, or follow it.";
});

follow.onclick = () => working("Following ...", async () => {
  const began = performance.now(), last = Math.floor(video.duration * RATE) - 1;
  let count = 0;
  for (stopped = false, stop.disabled = false; frame < last && !stopped; count++) {
    await show(frame + 1);
    paint(await tracker.follow(frame, pixels()));
    status.textContent = `Frame ${frame} of ${last} ...`;
  }
  clicks = [];
  follow.disabled = stop.disabled = true;
  return `${count} frames, ${(count / ((performance.now() - began) / 1000)).toFixed(1)} a second. Click a thing to begin anew.`;
});

stop.onclick = () => { stopped = true; };

async function opened(source) {
  clicks = [];
  const ready = new Promise((seen, failed) => { video.onloadeddata = seen; video.onerror = () => failed(new Error("no video that this browser plays")); });
  video.muted = true;
  video.preload = "auto";
  video.src = source;
  await ready;
  stage.width = video.videoWidth;
  stage.height = video.videoHeight;
  await show(0);
  return "Click a thing.";
}

file.onchange = () => working("Opening ...", () => opened(URL.createObjectURL(file.files[0])));
working("Loading the model, 20 MB ...", async () => {
  tracker = await Tracker.open("nano");
  return opened("clip.mp4");
});
