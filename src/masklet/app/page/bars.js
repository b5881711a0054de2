// The bars around the picture: the title and what concerns all, the tools, the frames, and what stands in one's way.

import { h, icon, iconButton, kept } from "./dom.js";
import { shown } from "./keys.js";
import { DOUBTED, LOCKED } from "./model.js";
import { nextTheme } from "./theme.js";

/** The bars of a page: {model, stage, tools, player, deeds, keys}. */
export function bars({ model, stage, tools, player, deeds, keys }) {
  return { top: topBar(), tools: toolStrip(), transport: h("div", {}, transport(), camera()), notice: notice() };

  function button(action, iconName, label, more = {}) {
    const press = (event) => { deeds[action](event); stage.root.focus({ preventScroll: true }); };
    return iconButton(iconName, label, press, { key: shown(keys.of(action)[0]), ...more });
  }

  function topBar() {
    const name = h("h1", { class: "title" }, "masklet"), state = h("span", { class: "kept", role: "status" });
    const undo = button("undo", "undo", "Undo"), redo = button("redo", "redo", "Redo");
    const files = [undo, redo, h("span", { class: "gap" }), button("import", "import", "Import", { text: "Import" }), button("export", "export", "Export", { text: "Export" })];
    const home = h("a", { class: "tool", href: "/", "aria-label": "All videos", title: "All videos" }, icon("home"));
    model.on("state", () => {
      name.textContent = model.video.name;
      document.title = `${model.video.name} – masklet`;
      for (const one of [home, ...files]) one.hidden = model.live;
    });
    model.on("objects", () => {
      for (const [one, label, what] of [[undo, "Undo", model.undo], [redo, "Redo", model.redo]]) {
        one.disabled = what === null;
        one.title = what === null ? `Nothing to ${label.toLowerCase()}` : `${label} ${what}  (${shown(keys.of(label.toLowerCase())[0])})`;
      }
    });
    model.on("state lease objects", () => {
      state.textContent = model.online ? (!model.mine ? "watching" : model.live ? "live" : "all changes are kept") : "no connection";
      state.classList.toggle("bad", !model.online);
    });
    return h("header", { id: "top" },
      home, name, state, h("span", { class: "space" }), files, button("help", "help", "Keys"),
      iconButton("theme", "Dark or light", () => { nextTheme(); model.emit("view"); }));
  }

  function toolStrip() {
    const kinds = { point: "Points", box: "Box", brush: "Brush", eraser: "Eraser", polygon: "Polygon" };
    const buttons = Object.entries(kinds).map(([kind, label]) => button(kind, kind, label, { "data-kind": kind }));
    const hand = iconButton("hand", "Move the picture (middle button)", () => tools.take("hand"), { "data-kind": "hand" });
    const masks = button("masks", "eye", "Masks"), outline = button("outline", "outline", "Outline"), solo = button("solo", "solo", "Only this object");
    const opacity = h("input", { type: "range", min: "0", max: "100", value: String(kept.get("opacity", 45)), class: "opacity", "aria-label": "Opacity of masks", title: "Opacity of masks" });
    opacity.oninput = () => { stage.opacity = Number(opacity.value) / 100; kept.set("opacity", Number(opacity.value)); stage.drawMasks(); };
    stage.opacity = Number(opacity.value) / 100;
    const fill = () => {
      for (const one of [...buttons, hand]) one.setAttribute("aria-pressed", one.dataset.kind === tools.kind);
      masks.setAttribute("aria-pressed", stage.visible);
      outline.setAttribute("aria-pressed", stage.outline);
      solo.setAttribute("aria-pressed", model.solo);
    };
    model.on("state view objects", fill);
    fill();
    return h("nav", { id: "tools", "aria-label": "Tools" }, buttons, hand, h("hr"), masks, outline, solo, opacity, h("hr"), button("fit", "fit", "Whole picture"));
  }

  function transport() {
    const at = h("input", { type: "number", min: "0", "aria-label": "Frame", class: "at", value: "0" }), of = h("span", { class: "soft" }), time = h("span", { class: "soft time" });
    at.onchange = () => { deeds.walk(Number(at.value) || 0); stage.root.focus(); };
    const play = button("play", "play", "Play"), job = h("span", { class: "job", role: "status" });
    const forward = button("follow", "follow", "Follow forward", { text: "Follow", class: "tool main" });
    const backward = button("followBack", "followBack", "Follow backward"), both = button("followBoth", "both", "Follow both ways"), stop = button("stop", "stop", "Stop", { text: "Stop", class: "tool main" });
    const judge = [button("lock", "lock", "Lock this frame", { text: "Lock" }), button("absent", "away", "Not here", { text: "Not here" }), button("accept", "check", "Accept, and next doubt", { text: "Accept" })];
    const fill = () => {
      const { frame, video } = model;
      if (document.activeElement !== at) at.value = String(frame);
      of.textContent = video ? `of ${model.last}` : "";
      time.textContent = video?.rate ? clock(frame / video.rate) : "";
      const following = model.job?.kind === "follow", nothing = !model.objects.some((object) => !object.fresh);
      for (const one of [forward, backward, both]) { one.hidden = following; one.disabled = nothing; }
      for (const one of judge) one.disabled = nothing;
      stop.hidden = !following;
      play.replaceChildren(icon(player.pace ? "pause" : "play"));
      const doubtful = model.objects.some((object) => model.cell(object, frame) & DOUBTED), locked = model.objects.some((object) => model.cell(object, frame) & LOCKED);
      job.textContent = following ? followed(model) : doubtful ? "in doubt here" : locked ? "locked" : "";
    };
    model.on("state view frame job cells objects", fill);
    return h("div", { id: "transport", class: "transport" }, button("first", "first", "First frame"), button("back", "back", "One frame back"), play,
      button("next", "next", "One frame on"), button("last", "last", "Last frame"), at, of, time, h("span", { class: "space" }), job,
      h("span", { class: "judge" }, judge), h("span", { class: "gap" }), backward, both, forward, stop);
  }

  /** What stands in place of the frames of a video: how a camera goes, and holding it still. */
  function camera() {
    const hold = button("hold", "pause", "Hold the picture", { class: "tool main" }), label = h("span"), facts = h("span", { class: "soft facts" });
    const place = h("div", { id: "camera", class: "transport", hidden: true }, hold, facts, h("span", { class: "space" }),
      h("button", { type: "button", class: "tool", onclick: () => deeds.removeAll() }, icon("trash"), "Remove all"));
    hold.append(label);
    model.on("state camera", () => {
      place.hidden = !model.live;
      place.previousElementSibling.hidden = model.live;
      if (!model.live) return;
      const { held, rate, latency, passed_over: passed, frame } = model.camera;
      hold.setAttribute("aria-pressed", held);
      hold.firstElementChild.replaceWith(icon(held ? "play" : "pause"));
      label.textContent = held ? "Go on" : "Hold";
      facts.textContent = `frame ${frame ?? "–"}  ·  ${rate.toFixed(1)} a second  ·  ${Math.round(1000 * latency)} ms behind  ·  ${passed} passed over`;
    });
    return place;
  }

  function notice() {
    const sentence = h("span"), take = h("button", { type: "button", class: "main", onclick: () => model.link.send({ type: "take" }) }, "Edit here");
    const place = h("div", { id: "notice", role: "status", hidden: true }, sentence, take);
    model.on("lease state fault camera", () => {
      const lost = model.live && model.camera.lost, what = model.live ? "camera" : "video";
      place.hidden = model.canEdit && !model.fault && !lost;
      take.hidden = !model.online || model.canEdit || Boolean(model.fault);
      sentence.textContent = model.fault ?? (!model.online ? `No connection to masklet. It is tried again${model.live ? "." : "; nothing that was done is lost."}`
        : lost ? `The camera gives nothing (${lost}); masklet keeps trying.`
        : model.free ? `Nobody edits this ${what} now.` : `${model.editor || "Another page"} edits this ${what}. What is done there is shown here.`);
    });
    return place;
  }
}

function followed({ job, last }) {
  if (job.rate === undefined) return "begins to follow";
  const left = job.direction === "backward" ? job.frame : last - job.frame;
  return `frame ${job.frame} · ${job.rate.toFixed(1)} a second${left > 0 && job.rate ? ` · ${clock(Math.ceil(left / job.rate)).slice(0, -2)} left` : ""}`;
}

/** Seconds as minutes, seconds and tenths. */
function clock(seconds) {
  const whole = Math.floor(seconds), two = (number) => String(number).padStart(2, "0");
  return `${Math.floor(whole / 60)}:${two(whole % 60)}.${Math.floor(10 * (seconds - whole))}`;
}
