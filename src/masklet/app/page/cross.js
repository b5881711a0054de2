// Pointing without a mouse: a cross that arrows move, and keys that press and let go of the tool.

import { say } from "./dom.js";

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Cross {
  /**
   * @param {import("./stage.js").Stage} stage
   * @param {import("./tools.js").Tools} tools
   */
  constructor(stage, tools) {
    this.stage = stage;
    this.tools = tools;
  }

  get on() { return Boolean(this.stage.cross) && document.activeElement === this.stage.root; }

  toggle() {
    const { stage } = this, { width, height } = stage.picture;
    stage.cross = stage.cross ? null : [width / 2, height / 2];
    stage.root.focus();
    stage.drawMarks();
    if (stage.cross) say("Arrows move the cross, Shift farther; Enter includes, or begins and ends what the tool draws; X excludes, C ends it.");
    else this.tools.drop();
  }

  /** What a key does while the cross is there; false if nothing. */
  press({ key, shiftKey }) {
    const { stage, tools } = this;
    if (!this.on) return false;
    if (WAYS[key]) this.move(WAYS[key], shiftKey);
    else if (key === "Enter" && tools.held) tools.end();
    else if (key === "Enter") tools.begin(stage.cross, false, { clicks: tools.kind === "point" || tools.polygon.draws(stage.cross) });
    else if (key.toLowerCase() === "x" && !tools.held) tools.begin(stage.cross, true, { clicks: true });
    else if (key === "Escape" && tools.held) tools.drop();
    else if (key === "Escape") this.toggle();
    else return false;
    return true;
  }

  move([dx, dy], far) {
    const { stage, tools } = this, { width, height } = stage.picture, [x, y] = stage.cross;
    const pace = Math.max(1, Math.round(height / (far ? 12 : 90)));
    stage.cross = [Math.max(0, Math.min(width - 0.01, x + dx * pace)), Math.max(0, Math.min(height - 0.01, y + dy * pace))];
    tools.to(stage.cross);
    stage.drawMarks();
  }
}
