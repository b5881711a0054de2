// The keys: what they do, which ones a person chose instead, and the page that shows them.

import { h, kept } from "./dom.js";

/** Every action: its group, what it does, and its keys, as `event.key` with modifiers before it. */
export const ACTIONS = {
  back: ["Frames", "One frame back", ["ArrowLeft", "d", ","]],
  next: ["Frames", "One frame on", ["ArrowRight", "f", "."]],
  back10: ["Frames", "Ten frames back", ["Shift+ArrowLeft"]],
  next10: ["Frames", "Ten frames on", ["Shift+ArrowRight"]],
  first: ["Frames", "First frame", ["Home"]],
  last: ["Frames", "Last frame", ["End"]],
  play: ["Frames", "Play, or stop", [" "]],
  slower: ["Frames", "Play backward, quicker each time", ["j"]],
  pause: ["Frames", "Stop playing", ["k"]],
  faster: ["Frames", "Play forward, quicker each time", ["l"]],
  in: ["Frames", "Set the in mark, or take it away", ["i"]],
  out: ["Frames", "Set the out mark, or take it away", ["o"]],
  promptBefore: ["Frames", "Prompted frame before", ["ArrowUp", "Shift+ArrowUp"]],
  promptAfter: ["Frames", "Prompted frame after", ["ArrowDown", "Shift+ArrowDown"]],
  doubt: ["Review", "Next doubt", ["n"]],
  doubtBefore: ["Review", "Doubt before", ["Shift+n"]],
  accept: ["Review", "Accept what is in doubt here, go to the next doubt", ["Enter"]],
  absent: ["Review", "The object is not here, or between the marks", ["x"]],
  lock: ["Review", "Lock this frame", ["Shift+l"]],
  follow: ["Follow", "Follow forward", ["t"]],
  followBack: ["Follow", "Follow backward", ["Shift+t"]],
  followBoth: ["Follow", "Follow both ways", ["Ctrl+t", "y"]],
  hold: ["Camera", "Hold the picture still, or go on", [" "]],
  tab: ["Objects", "Next object", ["Tab"]],
  add: ["Objects", "New object", ["a"]],
  describe: ["Objects", "Name, class and colour of the object", ["F2"]],
  hide: ["Objects", "Hide or show the object", ["h"]],
  solo: ["Objects", "Show only this object", ["s"]],
  masks: ["Objects", "Show no masks, and again", ["m"]],
  remove: ["Objects", "Take back the prompts on this frame; of a camera, the object", ["Delete", "Backspace"]],
  point: ["Tools", "Points", ["p"]],
  box: ["Tools", "Box", ["b"]],
  brush: ["Tools", "Brush", ["w"]],
  eraser: ["Tools", "Eraser", ["e"]],
  polygon: ["Tools", "Polygon: move, add and take away corners", ["g"]],
  smaller: ["Tools", "Smaller brush", ["{", "["]],
  larger: ["Tools", "Larger brush", ["}", "]"]],
  stop: ["Tools", "Stop what is under way, drop what is drawn", ["Escape"]],
  candidate: ["Tools", "Another mask that the first click may mean", ["v"]],
  candidateBefore: ["Tools", "The one before it", ["Shift+v"]],
  cross: ["Tools", "Draw by keyboard: arrows move the cross, Enter clicks, or begins and ends a box or a stroke, X excludes", ["c"]],
  before: ["View", "While held: the masks before the last change", ["q"]],
  bare: ["View", "While held: the picture alone", ["r"]],
  zoomIn: ["View", "Zoom in", ["+", "="]],
  zoomOut: ["View", "Zoom out", ["-"]],
  fit: ["View", "Whole picture", ["0"]],
  outline: ["View", "Outline", ["u"]],
  film: ["Frames", "Filmstrip, or none", ["Shift+f"]],
  help: ["View", "These keys", ["?"]],
  undo: ["History", "Undo", ["Ctrl+z"]],
  redo: ["History", "Redo", ["Ctrl+Shift+z", "Ctrl+y"]],
  export: ["History", "Export", ["Ctrl+e"]],
  import: ["History", "Take masks from a file", ["Ctrl+i"]],
};

const SHOWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space", Escape: "Esc", Delete: "Del" };

/** How a key is written for people. */
export const shown = (combination) => combination.split("+").filter(Boolean)
  .map((part) => SHOWN[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" ") || "+";

/** The combination of an event, as in ACTIONS. */
export function combinationOf(event) {
  const letter = event.key.length === 1;
  const key = letter ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (!letter || /[a-z]/.test(key));
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${key}`;
}

/** 1 to 9 where that was pressed, alone or with Shift; 0 for anything else. */
function digitOf({ key, code, shiftKey, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return 0;
  return Number(/^[1-9]$/.test(key) ? key : shiftKey ? code.match(/^Digit([1-9])$/)?.[1] ?? 0 : 0);
}

export class Keys {
  /** `deeds` has a function for every action, and what it returns is called when the key is let go, if it can be. Of `more`,
   * `first(event)` may take a key before; `digit(n)` and `shiftDigit(n)` are called for 1 to 9; `applies(group)` says which
   * groups of actions there are.
   * @param {{[action: string]: (event?: KeyboardEvent) => any}} deeds
   * @param {{first: (event: KeyboardEvent) => boolean, digit: (n: number) => void, shiftDigit: (n: number) => void, applies: (group: string) => boolean}} more */
  constructor(deeds, more) {
    this.deeds = deeds;
    this.more = more;
    this.own = kept.get("keys", {}); // action -> keys that a person chose
    this.held = new Map(); // the code of a key that is held -> what is done when it is let go
    document.addEventListener("keydown", (event) => this.press(event));
    document.addEventListener("keyup", ({ code }) => this.release(code));
    window.addEventListener("blur", () => { for (const code of this.held.keys()) this.release(code); });
  }

  get actions() { return Object.keys(ACTIONS).filter((name) => this.more.applies(ACTIONS[name][0])); }

  of(action) { return this.own[action] ?? ACTIONS[action][2]; }

  press(event) {
    if (event.target.closest("input, select, textarea, dialog") || event.isComposing) return;
    const combination = combinationOf(event);
    if (event.target.closest("button") && (combination === " " || combination === "Enter")) return; // it presses the button
    if (combination === "Tab" && !event.target.closest("#stage, #timeline, body:not(:has(:focus-visible))")) return;
    if (!event.ctrlKey && !event.metaKey && this.more.first(event)) return event.preventDefault();
    const action = this.actions.find((name) => this.of(name).includes(combination)), digit = digitOf(event);
    if (action) {
      if (event.repeat && this.held.has(event.code)) return;
      const answer = this.deeds[action](event);
      if (typeof answer === "function") this.held.set(event.code, answer);
      if (answer !== false) event.preventDefault();
    } else if (digit) this.more[/^[1-9]$/.test(event.key) ? "digit" : "shiftDigit"](digit);
    return undefined;
  }

  release(code) {
    this.held.get(code)?.();
    this.held.delete(code);
  }

  /** Choose another key for an action. Returns the action that has it already, and then nothing is changed. */
  choose(action, combination) {
    const other = this.actions.find((name) => name !== action && this.of(name).includes(combination));
    if (other) return other;
    this.own[action] = [combination];
    kept.set("keys", this.own);
    return null;
  }

  reset() {
    this.own = {};
    kept.set("keys", {});
  }

  /** The page of keys, for a dialog; `more` stands at its end. */
  page(more) {
    const groups = [...new Set(this.actions.map((name) => ACTIONS[name][0]))];
    const note = h("p", { class: "soft", "aria-live": "polite" }, "Click on a key to choose another one.");
    const rows = (group) => this.actions.filter((name) => ACTIONS[name][0] === group).map((name) => {
      const button = h("button", { type: "button", class: "keys", "aria-label": `Keys of: ${ACTIONS[name][1]}` });
      const fill = () => button.replaceChildren(...this.of(name).map((key) => h("kbd", {}, shown(key))));
      button.onclick = () => {
        button.replaceChildren(h("kbd", { class: "asked" }, "press a key"));
        button.onkeydown = (event) => {
          event.preventDefault();
          event.stopPropagation();
          if (["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
          button.onkeydown = null;
          const other = event.key === "Escape" && name !== "stop" ? null : this.choose(name, combinationOf(event));
          note.textContent = other ? `${shown(combinationOf(event))} is taken: ${ACTIONS[other][1]}` : "Click on a key to choose another one.";
          fill();
        };
        button.onblur = () => { button.onkeydown = null; fill(); };
      };
      fill();
      return h("div", { class: "keyrow" }, h("span", {}, ACTIONS[name][1]), button);
    });
    return [note, h("div", { class: "keygroups" }, groups.map((group) => h("section", {}, h("h3", {}, group), rows(group)))),
      h("p", { class: "soft" }, "On the picture: click to include, right click or Alt + click to exclude, click on a point to take it back, ",
        "drag for a box, hold Shift to see what a click would give. 1 to 9 choose an object, Shift + 1 to 9 its class. The wheel zooms, the middle button moves the picture. ",
        "Alt + wheel: the size of the brush. Polygon: drag a corner or an edge, right click takes a corner away; click elsewhere for a new ring, Enter or a double click closes it."),
      h("div", { class: "row" }, more, h("button", { type: "button", onclick: () => { this.reset(); note.closest("dialog").close(); } }, "Keys as they were at first"))];
  }
}
