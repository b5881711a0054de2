// All videos and pictures that were opened.

import { h, icon, iconButton, kept } from "./dom.js";
import { nextTheme } from "./theme.js";
import { takeFiles } from "./upload.js";

export async function library() {
  document.body.className = "library";
  document.title = "masklet";
  const grid = h("ul", { class: "grid" }), count = h("span", { class: "soft" });
  const who = h("input", { class: "who", placeholder: "Your name", "aria-label": "Your name, for others who open the same video", maxlength: "40", value: kept.get("who", "") });
  who.onchange = () => kept.set("who", who.value.trim());
  const find = h("input", { type: "search", placeholder: "Find by name", "aria-label": "Find by name" });
  document.body.replaceChildren(
    h("header", { id: "top" }, h("h1", { class: "brand" }, "masklet"), count, h("span", { class: "space" }), find, who, iconButton("theme", "Dark or light", nextTheme)),
    h("main", {}, grid));
  let { items, model } = await (await fetch("/api/library")).json();
  const show = () => {
    const wanted = find.value.trim().toLowerCase(), found = items.filter(({ name }) => name.toLowerCase().includes(wanted));
    count.textContent = `${found.length} of ${items.length} · model ${model}`;
    grid.replaceChildren(...found.map(card));
    if (!found.length) grid.replaceChildren(h("li", { class: "empty" }, "Nothing has this name."));
  };
  find.oninput = show;
  show();
  find.before(...takeFiles(async () => {
    ({ items } = await (await fetch("/api/library")).json());
    show();
  }));
}

function card(item) {
  const { done } = item, facts = [];
  if (item.kind === "video") facts.push(item.rate && item.frames ? clock(item.frames / item.rate) : `${item.frames ?? "?"} frames`);
  if (item.width) facts.push(`${item.width} × ${item.height}`);
  const share = done && item.frames ? Math.min(1, done.frames / item.frames) : 0;
  const bar = h("span", { class: "bar" }, h("i", { style: { width: `${Math.round(100 * share)}%` } }));
  const state = item.fault ? item.fault : done?.objects ? `${done.objects} object${done.objects === 1 ? "" : "s"} · ${Math.round(100 * share)} %${done.doubts ? ` · ${done.doubts} to review` : ""}` : "not begun";
  return h("li", {}, h("a", { class: item.fault ? "card bad" : "card", href: item.fault ? null : `/v/${item.id}`, title: item.path },
    h("span", { class: "cover" }, item.fault ? icon("away") : h("img", { src: `/v/${item.id}/cover.jpg`, alt: "", loading: "lazy" }),
      item.pages ? h("b", {}, item.editor === null ? "watched" : item.editor ? `open: ${item.editor}` : "open") : null),
    h("span", { class: "name" }, item.name), h("span", { class: "soft" }, facts.join(" · ")), bar, h("span", { class: item.fault ? "soft warn" : "soft" }, state)));
}

function clock(seconds) {
  const whole = Math.round(seconds), two = (number) => String(number).padStart(2, "0");
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}` : `${Math.floor(whole / 60)}:${two(whole % 60)}`;
}
