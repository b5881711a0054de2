// Sending files: in parts, so that after a lost connection what is there already is not sent again.

import { h, say } from "./dom.js";

const PART = 16 << 20, TRIES = 8, WAIT = 1000;

/** Take files that are dropped anywhere on the page, or chosen with the button that is returned; `taken(item)` is called for
 * each that masklet has. */
export function takeFiles(taken) {
  const place = h("div", { id: "uploads", role: "status" });
  document.body.append(place);
  const send = async (files) => {
    for (const file of files) {
      const line = h("div", { class: "note" }, file.name);
      place.append(line);
      try {
        await taken(await upload(file, (share) => { line.textContent = `${file.name}: ${Math.floor(100 * share)} %`; }));
      } catch (error) { say(error.message, true); }
      line.remove();
    }
  };
  takeDrops((files) => send([...files]));
  const picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to add" });
  picker.onchange = () => send([...picker.files]);
  return [picker, h("button", { type: "button", title: "Or drop files anywhere on this page", onclick: () => picker.click() }, "Add files")];
}

/**
 * Take files that are dropped anywhere on the page.
 * @param {(files: FileList) => void} take
 */
export function takeDrops(take) {
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  document.ondragover = (event) => { if (holds(event)) { event.preventDefault(); document.body.classList.add("dropping"); } };
  document.ondragleave = (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); };
  document.ondrop = (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer.files);
  };
}

/**
 * Send a file. Resolves to the id of the item, rejects with the server's sentence.
 * @param {File} file
 * @param {(share: number) => void} progress called on the way
 */
export async function upload(file, progress = () => {}) {
  const about = { name: file.name, size: String(file.size), changed: String(file.lastModified) };
  const address = (more) => `/api/upload?${new URLSearchParams({ ...about, ...more })}`;
  let at = null, tries = 0;
  for (;;) {
    try {
      const answer = at === null ? await fetch(address()) : await fetch(address({ at }), { method: "PUT", body: file.slice(at, at + PART) });
      const told = await answer.json();
      if (told.item) return told.item;
      if (!answer.ok && answer.status !== 409) throw new Error(told.error);
      at = told.at;
      tries = 0;
      progress(at / file.size);
    } catch (error) {
      if (!(error instanceof TypeError) || ++tries > TRIES) throw error; // fetch throws a TypeError where there is no connection
      await new Promise((done) => setTimeout(done, WAIT * tries));
      at = null;
    }
  }
}
