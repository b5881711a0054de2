// Elements, icons and small stores.

/** Make an element: `h("button", {class: "x", onclick}, "text", child)`. */
export function h(kind, given = {}, ...children) {
  const made = document.createElement(kind);
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    if (key.startsWith("on")) made[key] = value;
    else if (key.startsWith("aria-")) made.setAttribute(key, value);
    else if (value === false) continue;
    else if (key === "style") Object.assign(made.style, value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an element of SVG. */
export function s(kind, given = {}, ...children) {
  const made = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const PATHS = {
  outline: "M3 9.2c0-3.6 2-5.7 4.6-5.7s5.4 1.9 5.4 4.6-1.6 4.9-5 4.9-5-1.1-5-3.8z",
  pen: "M10.5 3l2.5 2.5L6 12.5l-3 .5.5-3z",
  point: "M8 1v4M8 11v4M1 8h4M11 8h4M8 7.2v1.6",
  box: "M2.5 4.5v-2h2M11.5 2.5h2v2M13.5 11.5v2h-2M4.5 13.5h-2v-2M7 2.5h2M7 13.5h2M2.5 7v2M13.5 7v2",
  brush: "M13.5 2.5 7 9M6.5 9.5c-2 0-2.2 1.6-2.5 2.5s-1 1.3-1.7 1.5c2.7.7 5.9.1 5.9-2.5 0-1-.8-1.5-1.7-1.5z",
  eraser: "M6 13.5h7.5M9.5 2.8l4 4-6.4 6.4H5.3L2.8 10.7zM5.8 6.5l4 4",
  polygon: "M4 5.5 8.5 3 13 7l-2 5.5H4.5zM4 4.2v2.6M2.7 5.5h2.6M11 11.2v2.6M9.7 12.5h2.6",
  hand: "M5 8V3.8a1 1 0 0 1 2 0V7.5M7 7V2.8a1 1 0 0 1 2 0V7.5M9 7V3.5a1 1 0 0 1 2 0V8M11 6.5a1 1 0 0 1 2 0V10c0 2.5-1.5 4-4 4s-3.5-1-4.5-2.5L2.8 9a1 1 0 0 1 1.7-1L5 8.8",
  undo: "M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M3 6.5 6 3.5M3 6.5 6 9.5",
  redo: "M13 6.5H6.5a3.5 3.5 0 0 0 0 7H10M13 6.5 10 3.5M13 6.5 10 9.5",
  export: "M8 2v8M4.8 5.2 8 2l3.2 3.2M2.5 10v3.5h11V10",
  import: "M8 10V2M4.8 6.8 8 10l3.2-3.2M2.5 10v3.5h11V10",
  help: "M5.8 6a2.2 2.2 0 1 1 3.3 1.9c-.8.5-1.1.9-1.1 1.8M8 12.5v.1",
  theme: "M8 2.5a5.5 5.5 0 1 0 5.5 5.5A4.3 4.3 0 0 1 8 2.5z",
  play: "M5 3v10l8-5z", pause: "M5 3v10M11 3v10",
  first: "M4 3v10M13 3 7 8l6 5z", last: "M12 3v10M3 3l6 5-6 5z",
  back: "M10.5 3 5 8l5.5 5", next: "M5.5 3 11 8l-5.5 5",
  follow: "M2 8h9M8 4.5 11.5 8 8 11.5M14 3v10", followBack: "M14 8H5M8 4.5 4.5 8 8 11.5M2 3v10",
  both: "M1.5 8h13M4.5 5l-3 3 3 3M11.5 5l3 3-3 3", stop: "M4 4h8v8H4z",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6.3a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4z",
  closed: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM3 13 13 3",
  trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9", plus: "M8 3v10M3 8h10",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5", fit: "M2.5 6v-3.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  home: "M2.5 3.5h4.5v4H2.5zM9 3.5h4.5v4H9zM2.5 9.5h4.5v3H2.5zM9 9.5h4.5v3H9z", check: "M3 8.5 6.5 12 13 4.5",
  away: "M4 4l8 8M12 4l-8 8", solo: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
};

/** An icon, 16 pixels wide, that screen readers pass over. */
export function icon(name) {
  return s("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}

/**
 * A button with an icon; its name is told to screen readers and shown as a hint, with its key.
 * @param {{key?: string, text?: string, [more: string]: any}} given its key, a text beside the icon, and attributes
 */
export function iconButton(name, label, onclick, given = {}) {
  const { key = "", text = "", ...more } = given;
  const hint = key ? `${label}  (${key})` : label;
  return h("button", { type: "button", class: "tool", "aria-label": label, title: hint, onclick, ...more }, icon(name), text);
}

/** What others can listen to. */
export class Signals {
  #listeners = new Map();

  /**
   * Listen to some; returns what ends it.
   * @param {string} names with spaces between them
   * @param {(...values: any[]) => void} listener
   */
  on(names, listener) {
    const all = names.split(" "), known = this.#listeners;
    for (const name of all) known.set(name, [...(known.get(name) ?? []), listener]);
    return () => { for (const name of all) known.set(name, known.get(name).filter((other) => other !== listener)); };
  }

  emit(name, ...values) {
    for (const listener of this.#listeners.get(name) ?? []) listener(...values);
  }
}

/** What the browser keeps for the page between visits; where it keeps nothing, nothing is remembered. */
export const kept = {
  get(name, otherwise) {
    try { return JSON.parse(localStorage.getItem("masklet." + name)) ?? otherwise; } catch { return otherwise; }
  },
  set(name, value) {
    try { localStorage.setItem("masklet." + name, JSON.stringify(value)); } catch { /* private window */ }
  },
};

/** A sentence that goes away by itself; `grave` ones stay longer. */
export function say(sentence, grave = false) {
  let place = document.getElementById("news");
  if (!place) document.body.append(place = h("div", { id: "news", role: "status", "aria-live": "polite" }));
  const note = h("div", { class: grave ? "note grave" : "note" }, sentence);
  place.replaceChildren(note);
  setTimeout(() => note.remove(), grave ? 9000 : 3500);
}
