// The page of one video: its parts put together, and what keys and buttons do.

import { bars } from "./bars.js";
import { Candidates } from "./candidates.js";
import { Cross } from "./cross.js";
import { describeDialog, exportDialog, importDialog, open } from "./dialogs.js";
import { h, say } from "./dom.js";
import { Keys, shown } from "./keys.js";
import { DOUBTED, Model, PROMPTED, STATE } from "./model.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";
import { Tools } from "./tools.js";
import { Tour } from "./tour.js";
import { takeDrops } from "./upload.js";

export function viewer(id) {
  const model = new Model(`/v/${id}`), stage = new Stage(model), candidates = new Candidates(model, stage, () => key("candidate"));
  const tools = new Tools(model, stage, candidates);
  const go = (frame) => {
    const wanted = Math.max(0, Math.min(model.last, frame));
    model.look(wanted);
    stage.show(wanted);
    model.emit("frame");
  };
  const walk = (frame) => {
    if (model.live) return; // there is but the newest frame
    model.along = false;
    player.stop();
    go(frame);
  };
  const player = new Player(model, stage, go);
  const panel = new Panel(model, { go: walk, add: () => deeds.add() }), tour = new Tour(model, (action) => key(action));
  const timeline = new Timeline(model, { go: walk, quiet: () => !stage.busy && !player.pace && model.job?.kind !== "follow" });
  const chosen = () => model.object(model.chosen);

  /** The nearest frame in a direction on which the chosen object has one of these bits. */
  const near = (bits, step) => {
    const cells = chosen()?.cells ?? [];
    for (let frame = model.frame + step; frame >= 0 && frame < cells.length; frame += step) if (cells[frame] & bits) return walk(frame);
    return say(step > 0 ? "There is none behind this frame." : "There is none before this frame.");
  };

  const follow = async (direction) => {
    if (model.job?.kind === "follow") return;
    model.along = true;
    const { first, last } = model.cut, backward = direction === "backward";
    const stop = backward ? first : last === null ? null : last + 1;
    const asked = { first: model.frame, direction, ...(stop === null ? {} : { stop: backward ? Math.max(-1, stop - 1) : stop }) };
    if (asked.stop === -1) delete asked.stop;
    await model.act("follow", asked);
  };

  /** Leave what is in doubt on this frame as it is, with the doubtful frames beside it; then go to the next doubt. */
  const acceptHere = async () => {
    const { frame } = model, doubtful = model.objects.filter((object) => model.cell(object, frame) & DOUBTED);
    const accepted = doubtful.length ? doubtful : [chosen()].filter((object) => object && model.cell(object, frame) & STATE);
    if (!accepted.length) return say("Nothing is known of this frame yet.");
    for (const object of accepted) {
      let first = frame, last = frame;
      while (model.cell(object, first - 1) & model.cell(object, first) & DOUBTED) first--;
      while (model.cell(object, last + 1) & model.cell(object, last) & DOUBTED) last++;
      if (!await model.act("accept", { object: object.name, first, last })) return undefined;
    }
    return panel.next(1);
  };

  const cross = new Cross(stage, tools);
  const mark = (end) => { model.cut[end] = model.cut[end] === model.frame ? null : model.frame; model.emit("view"); };
  const toggle = (name) => () => { stage[name] = !stage[name]; stage.drawMasks(); model.emit("view"); };

  const deeds = {
    walk,
    back: () => walk(model.frame - 1), next: () => walk(model.frame + 1), back10: () => walk(model.frame - 10), next10: () => walk(model.frame + 10),
    first: () => walk(0), last: () => walk(model.last),
    play: () => player.toggle(), slower: () => player.shuttle(-1), pause: () => player.stop(), faster: () => player.shuttle(1),
    in: () => mark("first"), out: () => mark("last"),
    promptBefore: () => near(PROMPTED, -1), promptAfter: () => near(PROMPTED, 1),
    doubt: () => panel.next(1), doubtBefore: () => panel.next(-1),
    accept: () => tools.polygon.close() || acceptHere(),
    absent: () => {
      if (!chosen() || chosen().fresh) return say("Choose an object first.");
      const { first, last } = model.cut, { frame } = model, marked = first !== null && last !== null && first <= frame && frame <= last;
      return model.act("absent", { object: model.chosen, ...(marked ? { first, last } : { first: frame, last: frame }) });
    },
    lock: () => model.act("lock", { frame: model.frame }),
    follow: () => follow("forward"), followBack: () => follow("backward"), followBoth: () => follow("both"),
    stop: () => {
      if (model.job) model.act("stop", { job: model.job.kind });
      else { player.stop(); tools.drop(); candidates.close(); }
    },
    tab: () => { const place = model.objects.findIndex((object) => object.name === model.chosen); if (model.objects.length) model.choose(model.objects[(place + 1) % model.objects.length].name); },
    add: () => { model.addObject(); stage.root.focus(); },
    describe: () => { if (chosen()) describeDialog(model, chosen()); },
    hide: () => { if (chosen()) panel.toggle(model.chosen); },
    solo: () => { model.solo = !model.solo; model.emit("objects"); model.emit("masks", model.frame); },
    masks: toggle("visible"), outline: toggle("outline"),
    remove: () => {
      if (tools.polygon.take() || !chosen()) return;
      if (model.live) model.removeObject(model.chosen); else model.act("clear", { frame: model.frame, object: model.chosen });
    },
    hold: () => model.hold(!model.camera.held), removeAll: () => { for (const { name } of [...model.objects]) model.removeObject(name); },
    point: () => tools.take("point"), polygon: () => tools.take("polygon"), box: () => tools.take("box"), brush: () => tools.take("brush"), eraser: () => tools.take("eraser"),
    smaller: () => tools.resize(1 / 1.25), larger: () => tools.resize(1.25),
    candidate: () => candidates.next(1) || say("After a first click on an object, this takes another thing that it may mean."), candidateBefore: () => candidates.next(-1),
    cross: () => cross.toggle(),
    before: () => stage.hold("before"), bare: () => stage.hold("bare"),
    zoomIn: () => stage.zoom(1.4), zoomOut: () => stage.zoom(1 / 1.4), fit: () => stage.fit(), film: () => timeline.toggleFilm(),
    undo: () => model.undo === null ? say("There is nothing to undo.") : model.act("undo"),
    redo: () => model.redo === null ? say("There is nothing to redo.") : model.act("redo"),
    export: () => { exportDialog(model); }, import: () => { importDialog(model); },
    help: () => {
      const again = h("button", { type: "button", onclick: () => { dialog.close(); tour.begin(); } }, "Take the tour");
      const dialog = open("Keys", keys.page(again), "wide");
    },
  };
  const key = (action) => shown(keys.of(action)[0]);
  const keys = new Keys(deeds, {
    first: (event) => cross.press(event),
    digit: (digit) => { const object = model.objects[digit - 1]; if (object) model.choose(object.name); },
    shiftDigit: (digit) => panel.classify(digit - 1),
    applies: (group) => (model.live ? ["Camera", "Objects", "Tools", "View"].includes(group) : group !== "Camera"),
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Shift") tools.shift(true);
  });
  document.addEventListener("keyup", (event) => { if (event.key === "Shift") tools.shift(false); });

  takeDrops((files) => { if (!model.live && !document.querySelector("dialog")) importDialog(model, files); });

  // --- following along -------------------------------------------------------------------------------

  model.on("masks", (frame) => {
    if (!(model.live || (model.job?.kind === "follow" && model.along)) || frame === model.frame) return;
    model.frame = frame;
    stage.show(frame);
    model.emit("frame");
  });

  document.title = "masklet";
  document.body.className = "viewer";
  const bar = bars({ model, stage, tools, player, deeds, keys }), foot = h("footer", {}, bar.transport, timeline.root);
  model.on("state", () => { foot.hidden = model.picture; timeline.root.hidden = model.live; document.body.classList.toggle("live", model.live); });
  panel.root.append(tour.root);
  document.body.replaceChildren(bar.top, bar.tools, h("main", {}, stage.root, candidates.root, bar.notice), panel.root, foot);
  stage.root.focus();
}
