"use strict";
// The page of a live session: it shows /state, and posts what the user points at.

const $ = (id) => document.getElementById(id);
const stage = $("stage"), marks = $("marks"), list = $("objects");
const SVG = "http://www.w3.org/2000/svg";
const NEAR = 4; // pixels of the screen: a shorter drag is a click

let state = { size: [1, 1], objects: [], held: false };
let chosen = 1;        // name of the object that is pointed at
let added = [];        // names that were begun and have no mask yet
const slots = new Map(); // name -> what the list shows of it
let cross = null;      // where the keyboard points, in pixels of the picture
let corner = null;     // first corner of a box by keyboard
let drag = null;       // a press of the mouse that has not ended

// --- what is asked ---------------------------------------------------------------------------------

async function ask(what, body = {}) {
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("/" + what, { method: "POST", headers, body: JSON.stringify(body) });
    const told = await answer.json();
    if (told.error) tell(told.error); else { tell(""); show(told); }
  } catch { tell("masklet does not answer; has it ended?"); }
}

const point = (place, label) => { mark(place, label); ask("points", { object: chosen, points: [place], labels: [label] }); };
const box = (a, b) => ask("box", { object: chosen, box:
  [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])] });
const hold = (held) => ask("hold", { held });
const named = (text) => /^\d{1,9}$/.test(text) ? Number(text) : text;
const known = () => [...state.objects.map((o) => o.name), ...added.filter((n) => !state.objects.some((o) => o.name === n))];

function begin(name) {
  if (name === "") { name = 1; while (known().includes(name)) name++; }
  if (!known().includes(name)) added.push(name);
  chosen = name;
  show(state);
}

function remove(name) {
  const followed = state.objects.some((o) => o.name === name);
  added = added.filter((n) => n !== name);
  if (followed) ask("remove", { object: name }); else show(state);
}

// --- what is shown ---------------------------------------------------------------------------------

function tell(sentence) { $("news").textContent = sentence; $("news").hidden = !sentence; }

function element(kind, name, text) {
  const made = document.createElement(kind);
  made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawn(kind, attributes) {
  const made = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function show(now) {
  const away = state.lost;
  state = now;
  const names = known();
  if (!names.length) { added = [1]; chosen = 1; } else if (!names.includes(chosen)) chosen = names[0];
  $("rate").textContent = state.rate.toFixed(1);
  $("latency").textContent = Math.round(1000 * state.latency) + " ms";
  $("passed").textContent = state.passed_over;
  $("frame").textContent = state.frame ?? "–";
  $("hold").setAttribute("aria-pressed", state.held);
  document.body.className = (state.held ? "held " : "") + (state.lost ? "away" : "");
  if (state.lost) tell("The camera gives nothing (" + state.lost + "); masklet keeps trying.");
  else if (away) tell("");
  const [height, width] = state.size;
  stage.style.setProperty("--shape", width / height);
  marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const shown = known().map(slot);
  if (shown.length !== list.children.length || shown.some((made, place) => list.children[place] !== made)) {
    for (const name of [...slots.keys()]) if (!known().includes(name)) slots.delete(name);
    list.replaceChildren(...shown);
  }
  known().forEach(fill);
}

// A slot is made once and filled again and again, so that the keyboard's focus stays where it is.
function slot(name) {
  if (slots.has(name)) return slots.get(name);
  const choice = element("button", "object"), away = element("button", "grave", "×"), made = element("div", "slot");
  choice.onclick = () => { chosen = name; show(state); };
  const dot = drawn("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" });
  dot.append(drawn("circle", { cx: 7, cy: 7, r: 6, fill: "none", stroke: "currentColor" }));
  choice.append(dot, element("span", "label", name), element("span", "state"), element("span", "scores"), element("span", "needs"));
  away.setAttribute("aria-label", "Remove " + name);
  away.onclick = () => remove(name);
  made.append(choice, away);
  slots.set(name, made);
  return made;
}

function fill(name) {
  const found = state.objects.find((o) => o.name === name), choice = slot(name).firstChild;
  const put = (part, text) => {
    const place = choice.querySelector(part);
    if (place.textContent !== text) place.textContent = text;
    place.hidden = !text;
  };
  const percent = (share) => Math.round(100 * share) + "\u00a0%";
  choice.setAttribute("aria-pressed", name === chosen);
  choice.querySelector("circle").setAttribute("fill", found ? found.color : "none");
  put(".state", found ? found.state : "point at it");
  put(".scores", found ? `presence\u00a0${percent(found.presence)} · IoU\u00a0${percent(found.iou)}` : "");
  put(".needs", found?.needs_prompt ? "needs a prompt: " + found.needs_prompt : "");
}

function mark(place, label) {
  const dot = drawn("circle", { cx: place[0], cy: place[1], r: state.size[0] / 70, class: label ? "in" : "out" });
  marks.append(dot);
  setTimeout(() => dot.remove(), 1200);
}

function outline() {
  marks.querySelectorAll("path, rect").forEach((old) => old.remove());
  const from = drag?.from ?? corner, to = drag?.to ?? cross;
  if (from && to) marks.append(drawn("rect", {
    x: Math.min(from[0], to[0]), y: Math.min(from[1], to[1]),
    width: Math.abs(from[0] - to[0]), height: Math.abs(from[1] - to[1]) }));
  if (cross && document.activeElement === stage)
    marks.append(drawn("path", { d: `M${cross[0]} 0V${state.size[0]}M0 ${cross[1]}H${state.size[1]}` }));
}

// --- the mouse ---------------------------------------------------------------------------------------

function placeOf(event) {
  const area = stage.getBoundingClientRect(), [height, width] = state.size;
  const within = (value, most) => Math.max(0, Math.min(most - 1, value));
  return [within((event.clientX - area.left) / area.width * width, width),
          within((event.clientY - area.top) / area.height * height, height)];
}

const isFar = (event) => Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > NEAR;

stage.onpointerdown = (event) => {
  if (event.button > 2 || event.button === 1) return;
  stage.setPointerCapture(event.pointerId);
  stage.focus({ preventScroll: true });
  drag = { from: placeOf(event), x: event.clientX, y: event.clientY, to: null, out: event.button === 2 || event.shiftKey, held: state.held };
  drag.still = state.held || hold(true); // so that it does not run away under the hand
  cross = corner = null;
};
stage.onpointermove = (event) => {
  if (!drag || drag.out || !(drag.to || isFar(event))) return;
  drag.to = placeOf(event);
  outline();
};
stage.onpointerup = async () => {
  if (!drag) return;
  const { from, to, out, held, still } = drag;
  drag = null;
  outline();
  await still;
  await (to ? box(from, to) : point(from, out ? 0 : 1));
  if (!held) ask("hold", { held: false });
};
stage.onpointercancel = () => { const held = drag?.held; drag = null; outline(); if (held === false) hold(false); };
stage.oncontextmenu = (event) => event.preventDefault();

// --- the keyboard ------------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function move([dx, dy], far) {
  const [height, width] = state.size, pace = Math.max(1, Math.round(height / (far ? 12 : 80)));
  cross ??= [width / 2, height / 2];
  cross = [Math.max(0, Math.min(width - 1, cross[0] + dx * pace)), Math.max(0, Math.min(height - 1, cross[1] + dy * pace))];
}

const onPicture = {
  Enter: () => cross && point(cross, 1),
  x: () => cross && point(cross, 0),
  b: () => { if (!cross) return; if (corner) { box(corner, cross); corner = null; } else corner = [...cross]; },
  Escape: () => { cross = corner = null; },
};
const anywhere = {
  " ": () => hold(!state.held),
  n: () => $("name").focus(),
  Delete: () => remove(chosen),
};

document.onkeydown = (event) => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && event.target.tagName === "BUTTON") return; // it presses the button
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const digit = /^[1-9]$/.test(key) && known()[Number(key) - 1];
  const onStage = document.activeElement === stage;
  const deed = (onStage && ARROWS[key] && (() => move(ARROWS[key], event.shiftKey))) || (onStage && onPicture[key])
    || (digit && (() => { chosen = digit; show(state); })) || anywhere[key];
  if (!deed) return;
  event.preventDefault();
  deed();
  outline();
};
stage.onblur = outline;

$("adding").onsubmit = (event) => { event.preventDefault(); begin(named($("name").value.trim())); $("name").value = ""; stage.focus(); };
$("hold").onclick = () => hold(!state.held);
$("reset").onclick = () => { added = []; ask("reset"); };

// --- begin ---------------------------------------------------------------------------------------------

async function watch() {
  try {
    show(await (await fetch("/state")).json());
  } catch { tell("masklet does not answer; it has ended, or been stopped."); document.body.className = "away"; }
  setTimeout(watch, 250);
}
watch();
