// Playing: frame after frame at the video's rate; frames that come too late are left out.

const USUAL = 25;

export class Player {
  /**
   * @param {import("./model.js").Model} model
   * @param {import("./stage.js").Stage} stage
   * @param {(frame: number) => void} go
   */
  constructor(model, stage, go) {
    this.model = model;
    this.stage = stage;
    this.go = go;
    this.pace = 0; // how many times as quick, negative backward
  }

  toggle() { if (this.pace) this.stop(); else this.start(1); }

  /** J and L: the other way at once, or twice as quick. */
  shuttle(way) { this.start(Math.sign(this.pace) === way ? Math.max(-8, Math.min(8, this.pace * 2)) : way); }

  start(pace) {
    this.pace = pace;
    this.model.along = false;
    this.from = this.model.frame >= this.model.last && pace > 0 ? 0 : this.model.frame;
    this.begun = performance.now();
    this.model.emit("view");
    if (!this.running) { this.running = true; requestAnimationFrame((now) => this.tick(now)); }
  }

  stop() {
    if (!this.pace) return;
    this.pace = 0;
    this.model.emit("view");
  }

  tick(now) {
    if (!this.pace) { this.running = false; return; }
    const rate = this.model.video?.rate ?? USUAL;
    const frame = Math.round(this.from + Math.max(0, now - this.begun) / 1000 * rate * this.pace);
    if (frame < 0 || frame > this.model.last) this.stop();
    const wanted = Math.max(0, Math.min(this.model.last, frame));
    if (wanted !== this.model.frame && !this.stage.busy) this.go(wanted);
    requestAnimationFrame((next) => this.tick(next));
  }
}
