// Dark and light: as the system has it, until a person chooses.

import { kept } from "./dom.js";

const ORDER = ["auto", "dark", "light"];

export function beginTheme() { document.documentElement.dataset.theme = kept.get("theme", "auto"); }

/** The other look: the first press leaves what the system has. */
export function nextTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches, now = kept.get("theme", "auto");
  const next = now === "auto" ? (dark ? "light" : "dark") : ORDER[3 - ORDER.indexOf(now)];
  kept.set("theme", next);
  beginTheme();
}
