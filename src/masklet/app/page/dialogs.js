// Dialogs: objects, export, import.

import { h, say } from "./dom.js";

/** Open a dialog; it goes when it is closed. */
export function open(title, content, kind = "") {
  const close = h("button", { type: "button", class: "tool", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const dialog = h("dialog", { class: kind, "aria-label": title }, h("header", {}, h("h2", {}, title), close), content);
  dialog.onclose = () => dialog.remove();
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("select, input")?.focus();
  return dialog;
}

/** What an object is called, its class, its colour. */
export function describeDialog(model, object) {
  const title = h("input", { id: "title", value: object.title || String(object.name), maxlength: "100", autocomplete: "off" });
  const category = h("input", { id: "category", value: object.category ?? "", maxlength: "100", list: "categories", autocomplete: "off", placeholder: "such as car" });
  const colour = h("input", { id: "colour", type: "color", value: object.color });
  const form = h("form", { method: "dialog" },
    h("div", { class: "pair" }, h("label", { for: "title" }, "Name"), title, h("label", { for: "category" }, "Class"), category,
      h("label", { for: "colour" }, "Colour"), colour),
    h("datalist", { id: "categories" }, model.categories.map((value) => h("option", { value }))),
    h("p", { class: "soft" }, "The class is what files for training call it; without one the name is."),
    model.live ? null : identity(model, object, () => dialog.close()),
    h("div", { class: "row end" }, h("button", { type: "submit", class: "main" }, "Keep")));
  const dialog = open("Object", form, "object");
  form.onsubmit = async (event) => {
    event.preventDefault();
    const name = title.value.trim();
    if (await model.describe(object, { title: name === String(object.name) ? object.title ?? "" : name, category: category.value.trim(), colour: colour.value })) dialog.close();
  };
  title.select();
}

/** What mends two objects that were taken for each other. */
function identity(model, object, close) {
  if (object.fresh) return null;
  const { frame } = model, others = model.objects.filter((other) => other !== object && !other.fresh);
  const act = async (type, values) => { if (await model.act(type, { object: object.name, ...values })) close(); };
  const button = (text, onclick) => h("button", { type: "button", onclick }, text);
  let number = model.objects.length + 1;
  while (model.object(`object ${number}`)) number++;
  const other = h("select", { "aria-label": "The other object" }, others.map(({ name }) => h("option", {}, model.title(name))));
  const chosen = () => others[other.selectedIndex].name;
  return h("fieldset", {}, h("legend", {}, "Who is who"),
    others.length ? h("div", { class: "row wraps" }, other, button(`Swap from frame ${frame} on`, () => act("swap", { frame, other: chosen() })),
      button("Merge into it", () => act("merge", { into: chosen() }))) : null,
    h("div", { class: "row" }, button(`Split: a new object from frame ${frame} on`, () => act("split", { frame, new: `object ${number}` }))));
}

/** What is to be written, and where it can be fetched. */
export async function exportDialog(model) {
  const known = model.objects.filter((object) => !object.fresh);
  if (!known.length) { say("There is nothing to export yet: click on something first."); return; }
  const { formats } = await (await fetch(`${model.path}/formats`)).json();
  const { first, last } = model.cut;
  const choice = h("select", { id: "format" }, formats.map(({ name }) => h("option", { value: name }, name)));
  const help = h("p", { class: "soft" });
  const number = (id, value) => h("input", { id, type: "number", min: "0", max: String(model.last), value: String(value) });
  const from = number("from", first ?? 0), to = number("to", last ?? model.last);
  const objects = known.map((object) => ({ name: object.name, title: model.title(object.name), box: h("input", { type: "checkbox", checked: true }), color: object.color }));
  const bar = h("progress", { max: "1", value: 0, hidden: true, "aria-label": "Progress" });
  const link = h("a", { class: "button", hidden: true, download: "" });
  const begin = h("button", { type: "submit", class: "main" }, "Export");
  const range = h("div", { class: "row" }, h("label", { for: "from" }, "Frames"), from, h("label", { for: "to" }, "to"), to);
  const form = h("form", { method: "dialog" },
    h("div", { class: "row" }, h("label", { for: "format" }, "Format"), choice), help, model.picture ? null : range,
    h("fieldset", {}, h("legend", {}, "Objects"), objects.map(({ title, box, color }) =>
      h("label", { class: "check" }, box, h("i", { class: "dot", style: { background: color } }), title))),
    bar, h("div", { class: "row end" }, link, begin));
  const describe = () => {
    const found = formats.find(({ name }) => name === choice.value);
    help.textContent = `${found.help}${found.ending ? ` (${found.ending})` : " (a folder, as ZIP)"}`;
    link.hidden = true;
  };
  choice.value = formats.some(({ name }) => name === "coco") ? "coco" : formats[0].name;
  choice.onchange = describe;
  describe();
  const dialog = open("Export", form, "export");
  form.onsubmit = async (event) => {
    event.preventDefault();
    const chosen = objects.filter(({ box }) => box.checked).map(({ name }) => name);
    begin.disabled = true;
    bar.hidden = false;
    const asked = { type: "export", format: choice.value, objects: chosen, ...(model.picture ? {} : { first: from.valueAsNumber, last: to.valueAsNumber }) };
    try { await model.link.ask(asked); } catch (error) { say(error.message, true); begin.disabled = false; bar.hidden = true; }
  };
  const told = (place, file) => {
    begin.disabled = false;
    bar.hidden = true;
    link.hidden = false;
    link.href = place;
    link.download = file;
    link.textContent = `Save ${file} again`;
    link.click();
    link.focus();
  };
  const ends = [model.on("exported", told), model.on("job", () => {
    if (model.job?.kind === "export") bar.value = model.job.frame / model.job.of;
    else { begin.disabled = false; bar.hidden = true; }
  })];
  dialog.addEventListener("close", () => ends.forEach((end) => end()));
}

/** Masks of a file become prompts, in all frames or some. `files` were dropped. */
export function importDialog(model, files = null) {
  const file = h("input", { id: "file", type: "file", required: true }), { first, last } = model.cut;
  if (files) file.files = files;
  const number = (id, value) => h("input", { id, type: "number", min: "0", max: String(model.last), value: String(value) });
  const from = number("from", first ?? 0), to = number("to", last ?? model.last);
  const begin = h("button", { type: "submit", class: "main" }, "Import"), told = h("span", { class: "soft", role: "status" });
  const form = h("form", { method: "dialog" },
    h("p", { class: "soft" }, "Of any format that masklet reads, such as COCO or CVAT, or a ZIP of masks, or of annotations with pictures. Each mask becomes a prompt of its object, final to the pixel; Undo takes them back one by one."),
    h("div", { class: "row" }, h("label", { for: "file" }, "File"), file),
    model.picture ? null : h("div", { class: "row" }, h("label", { for: "from" }, "Frames"), from, h("label", { for: "to" }, "to"), to),
    h("div", { class: "row end" }, told, begin));
  const dialog = open("Import", form);
  form.onsubmit = async (event) => {
    event.preventDefault();
    begin.disabled = true;
    told.textContent = "is sent";
    try {
      const [chosen] = file.files, answer = await fetch(`${model.path}/imports/${encodeURIComponent(chosen.name)}`, { method: "PUT", body: chosen });
      const sent = await answer.json();
      if (!answer.ok) throw new Error(sent.error);
      if (!await model.act("import", { file: sent.file, first: from.valueAsNumber, last: to.valueAsNumber })) begin.disabled = false;
    } catch (error) { say(error.message, true); begin.disabled = false; told.textContent = ""; }
  };
  const ends = [model.on("job", () => { if (model.job?.kind === "import") told.textContent = `frame ${model.job.frame} · ${model.job.done} masks`; }),
    model.on("imported", ({ sentence }) => { if (sentence) say(sentence, true); dialog.close(); })];
  dialog.addEventListener("close", () => ends.forEach((end) => end()));
}
