// The side: objects, and what the tracker doubts.

import { describeDialog } from "./dialogs.js";
import { h, icon, iconButton, say } from "./dom.js";
import { STATES, STATE } from "./model.js";

export class Panel {
  /**
   * @param {import("./model.js").Model} model
   * @param {{go: (frame: number) => void, add: () => void}} does
   */
  constructor(model, { go, add }) {
    this.model = model;
    this.go = go;
    this.list = h("ul", { class: "objects", "aria-label": "Objects" });
    this.classes = h("div", { class: "classes", role: "group", "aria-label": "Class of the object", hidden: true });
    this.doubts = h("ol", { class: "doubts", "aria-label": "To review" });
    this.count = h("span", { class: "count" });
    this.root = h("aside", { id: "panel" },
      h("section", {},
        h("header", {}, h("h2", {}, "Objects"), iconButton("plus", "New object", add, { key: "A" })),
        this.list, this.classes),
      h("section", { class: "review" },
        h("header", {}, h("h2", {}, "To review ", this.count), iconButton("next", "Next doubt", () => this.next(), { key: "N" })),
        this.doubts));
    this.rows = new Map();
    model.on("state objects shown cells camera", () => this.plan());
  }

  plan() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => { this.planned = false; this.fill(); });
  }

  /** Go to the next doubt after the frame one is at; the first if there is none behind it. */
  next(step = 1) {
    const { queue, frame } = this.model;
    if (!queue.length) return;
    const sorted = [...queue].sort((a, b) => (a.frame - b.frame) * step);
    const found = sorted.find((doubt) => (doubt.frame - frame) * step > 0) ?? sorted[0];
    this.model.choose(found.object);
    this.go(found.frame);
  }

  fill() {
    const { model } = this;
    for (const name of this.rows.keys()) if (!model.object(name)) this.rows.delete(name);
    const rows = model.objects.map((object) => this.row(object));
    if (rows.length !== this.list.children.length || rows.some((row, place) => this.list.children[place] !== row)) this.list.replaceChildren(...rows);
    if (!model.objects.length) this.list.replaceChildren(h("li", { class: "empty" }, "Click on the thing that you want to cut out. That begins the first object."));
    this.fillClasses();
    this.fillDoubts();
  }

  // --- classes -------------------------------------------------------------------------------------

  fillClasses() {
    const { model } = this, offered = model.categories, now = model.object(model.chosen)?.category, wanted = JSON.stringify([offered, now]);
    if (wanted === this.offered) return;
    this.offered = wanted;
    this.classes.hidden = !offered.length;
    this.classes.replaceChildren(...offered.map((name, place) => h("button", {
      type: "button", class: "chip", "aria-pressed": name === now, title: place < 9 ? `${name}  (Shift ${place + 1})` : name, onclick: () => this.classify(place),
    }, place < 9 ? h("kbd", { "aria-hidden": "true" }, String(place + 1)) : null, name)));
  }

  /** Give the chosen object a class by its place in the list, or take it away where it has that one. */
  classify(place) {
    const { model } = this, category = model.categories[place], object = model.object(model.chosen);
    if (!category) return say(model.categories.length ? `There are ${model.categories.length} classes.` : "There are no classes yet: F2 gives an object one.");
    if (!object) return say("Choose an object first.");
    return model.describe(object, { category: object.category === category ? "" : category });
  }

  // --- objects -------------------------------------------------------------------------------------

  row(object) {
    const { model } = this;
    let row = this.rows.get(object.name);
    if (!row) {
      const choice = h("button", { type: "button", class: "choice", onclick: () => model.choose(object.name) },
        h("i", { class: "dot" }), h("span", { class: "name" }), h("span", { class: "facts" }));
      const eye = iconButton("eye", "Hide", () => this.toggle(object.name), { key: "H" });
      const remove = iconButton("trash", `Remove ${object.name}`, () => model.removeObject(object.name));
      const edit = iconButton("pen", `Name and class of ${object.name}`, () => describeDialog(model, model.object(object.name)), { key: "F2" });
      choice.ondblclick = edit.onclick;
      row = h("li", {}, choice, edit, eye, remove);
      this.rows.set(object.name, row);
    }
    const cell = model.cell(object, model.frame), state = cell & STATE, place = model.objects.indexOf(object);
    const choice = row.querySelector(".choice"), shown = model.shows(object);
    choice.setAttribute("aria-pressed", object.name === model.chosen);
    row.classList.toggle("off", !shown);
    row.querySelector(".dot").style.background = object.color;
    put(row.querySelector(".name"), model.title(object.name));
    row.querySelector(".name").dataset.category = object.category ?? "";
    put(row.querySelector(".facts"), object.fresh ? "click on it" : state ? facts(object, model) : "unknown here");
    choice.title = place < 9 ? `Choose ${object.name}  (${place + 1})` : `Choose ${object.name}`;
    const eye = row.querySelectorAll(".tool")[1];
    if (eye.dataset.shown !== String(shown)) {
      eye.dataset.shown = shown;
      eye.replaceChildren(icon(shown ? "eye" : "closed"));
      eye.setAttribute("aria-label", `${shown ? "Hide" : "Show"} ${object.name}`);
    }
    return row;
  }

  toggle(name) {
    const { hidden } = this.model;
    if (hidden.has(name)) hidden.delete(name); else hidden.add(name);
    this.model.emit("objects");
    this.model.emit("masks", this.model.frame);
  }

  fillDoubts() {
    const { model } = this;
    put(this.count, model.queue.length ? String(model.queue.length) : "");
    const wanted = JSON.stringify(model.queue) + (model.live ? model.title(model.chosen) : model.frame);
    if (wanted === this.listed) return;
    this.listed = wanted;
    const shown = model.queue.slice(0, 200).map((doubt) => h("li", {},
      h("button", { type: "button", class: "doubt", "aria-current": doubt.frame === model.frame, onclick: () => { model.choose(doubt.object); this.go(doubt.frame); } },
        h("i", { class: "dot", style: { background: model.object(doubt.object)?.color ?? "gray" } }),
        h("span", { class: "name" }, doubt.reason), h("span", { class: "facts" }, [model.objects.length > 1 && model.title(doubt.object), !model.live && `frame ${doubt.frame}`].filter(Boolean).join(" · ")))));
    this.doubts.replaceChildren(...shown);
    if (!shown.length)
      this.doubts.replaceChildren(h("li", { class: "empty" }, model.objects.some((object) => !object.fresh) ? "Nothing is in doubt." : "What the tracker doubts comes here."));
  }
}

/** How an object is seen in the frame: its state and predicted IoU, of a camera its presence too. */
function facts(object, model) {
  const state = STATES[model.cell(object, model.frame) & STATE], iou = `${Math.round(100 * (object.ious[model.frame] ?? 0) / 255)} %`;
  return model.live ? `${state} · IoU ${iou} · presence ${Math.round(100 * object.presence)} %` : `${state} · ${iou}`;
}

function put(place, text) { if (place.textContent !== text) place.textContent = text; }
