// A tour of four steps, on the first visit or from the page of keys. Doing what a step says goes to the next one; nothing
// is in one's way, and it can be left at any time.

import { h, kept } from "./dom.js";

// Each: what is said, with the keys of actions, what it is about, and what ends it: a prompt, a pass that is over, an export.
const STEPS = [
  ["Click on a thing that you want to cut out. Its mask is painted.", "#stage", "prompt"],
  ["Press {follow}, or Follow: it is followed to the end of the video. {stop} stops, and keeps what is done.", "[aria-label='Follow forward']", "follow"],
  ["Go to a frame where the mask is wrong: {doubt} goes to what the tracker doubts. Click on what is missing, right click on what is too much.", ".review", "prompt"],
  ["{export} writes a file of any format. Undo takes back everything, and all is kept, always.", "[aria-label='Export']", "export"],
];

export class Tour {
  /**
   * @param {import("./model.js").Model} model
   * @param {(action: string) => string} key how the key of an action is written
   */
  constructor(model, key) {
    this.model = model;
    this.key = key;
    this.text = h("p");
    this.count = h("h2");
    this.leaving = h("button", { type: "button", class: "tool", onclick: () => this.end() }, "Leave");
    this.root = h("section", { class: "tour", "aria-label": "Tour", "aria-live": "polite", hidden: true },
      h("header", {}, this.count, this.leaving), this.text,
      h("div", { class: "row end" }, h("button", { type: "button", onclick: () => this.go(this.step + 1) }, "Skip this step")));
    model.on("state", () => {
      if (!this.asked && !kept.get("toured", false) && !model.objects.length && model.video.kind === "video") this.begin();
      this.asked = true;
    });
    model.on("objects", () => { if (this.prompts() > this.before) this.done("prompt"); this.before = this.prompts(); });
    model.on("job", () => {
      const follows = model.job?.kind === "follow";
      if (this.followed && !follows) this.done("follow");
      this.followed = follows;
    });
    model.on("exported", () => this.done("export"));
  }

  begin() { this.go(0); }

  prompts() {
    const given = this.model.objects.flatMap(({ prompts }) => Object.values(prompts ?? {}));
    return given.reduce((sum, { points, box, mask }) => sum + points.length + (box ? 1 : 0) + (mask ? 1 : 0), 0);
  }

  done(what) { if (!this.root.hidden && STEPS[this.step][2] === what) this.go(this.step + 1); }

  go(step) {
    this.point(null);
    if (step >= STEPS.length) return this.end();
    this.step = step;
    const [text, about] = STEPS[step];
    this.root.hidden = false;
    this.count.textContent = `Tour ${step + 1} of ${STEPS.length}`;
    this.text.textContent = text.replace(/{(\w+)}/g, (_, action) => this.key(action));
    return this.point(document.querySelector(about));
  }

  /** Mark what a step is about. */
  point(element) {
    this.pointed?.classList.remove("pointed");
    this.pointed = element;
    element?.classList.add("pointed");
  }

  end() {
    this.point(null);
    this.root.hidden = true;
    kept.set("toured", true);
  }
}
