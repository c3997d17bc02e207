// What an annotator sees: instructions, one task after the other, the end. It is told nothing of who responded.

import { announce, api, fill, format, h, showProblem, urlState } from "./common.js";
import { isEnd, outbox } from "./rate_outbox.js";
import { CHOICES, TITLES, keyTable, taskParts, titled, valueOf, welcome } from "./rate_view.js";

const place = document.getElementById("rating");
const sent = outbox({
  onstate(text, bad) {
    const shown = document.getElementById("saved");
    if (shown) shown.textContent = text;
    if (bad) announce(text);
  },
  onprogress(progress) {
    Object.assign(mine, progress);
    showProgress();
  },
  onend: ended,
  onrefusal(sentence) {
    showProblem(sentence);
    if (task) show(task.place, { push: false });
  },
});
let mine;
let task;
let shownAt = 0;
let keys = kept("rate-keys") !== "off";

function kept(name, value) {
  try {
    return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value);
  } catch {
    return null; // no storage: it holds for this page
  }
}

function ended(sentence) {
  task = null;
  view(h("h1", { tabindex: -1 }, "The rating is closed to you"), h("p", {}, sentence),
    h("p", { class: "quiet" }, "Everything that was saved is kept. You can close this page."));
}

function view(...content) {
  fill(place, ...content);
  window.scrollTo(0, 0);
  place.querySelector("h1").focus({ preventScroll: true });
}

async function asked(path, options) {
  try {
    return await api(path, { quiet: true, ...options });
  } catch (error) {
    if (isEnd(error)) ended(error.message);
    else showProblem(error.message);
    return null;
  }
}

async function begin() {
  mine = await asked("/api/rate/start");
  if (!mine) return;
  if (mine.closed) ended("This rating is closed. Thank you.");
  else if (urlState.get("place")) await show(Number(urlState.get("place")), { push: false });
  else if (mine.done) await goOn({ push: false });
  else instructions();
}

function instructions() {
  task = null;
  view(welcome(mine, keysOf()),
    h("p", {}, h("button", { class: "primary", type: "button", id: "begin", onclick: () => goOn() },
      mine.done ? `Go on (${mine.done} of ${mine.total} done)` : `Begin (${format.plural(mine.total, "task")})`),
    h("span", { class: "quiet small" }, " or press Enter")));
}

function keysOf() {
  const input = h("input", { type: "checkbox", checked: keys, onchange: (event) => {
    keys = event.target.checked;
    kept("rate-keys", keys ? "on" : "off");
  } });
  return keyTable(mine.questions, h("p", {}, h("label", {}, input, "Answer with single keys")));
}

async function goOn({ push = true } = {}) {
  if (mine.next > mine.total) done();
  else await show(mine.next, { push });
}

function done() {
  task = null;
  urlState.set({ place: null });
  view(h("h1", { tabindex: -1 }, "All done. Thank you!"),
    h("p", {}, `You have answered all ${format.plural(mine.total, "task")}, and everything is saved.`),
    h("p", { class: "bar" },
      h("button", { type: "button", onclick: () => show(mine.total) }, "Back to the last one"),
      h("button", { type: "button", onclick: undo }, "Undo the last answer")));
}

async function show(wanted, { push = true } = {}) {
  const at = Math.min(Math.max(1, Math.trunc(wanted) || 1), mine.total);
  const next = await asked("/api/rate/task", { query: { place: at } });
  if (!next) return;
  task = next;
  Object.assign(mine, { done: next.done, next: next.next });
  urlState.set({ place: at }, { push: push && urlState.get("place") !== String(at) });
  draw();
  shownAt = performance.now();
}

function draw() {
  const parts = taskParts(task, mine.questions[task.task]);
  parts.heading.setAttribute("aria-label", `${TITLES[task.task]}, task ${task.place} of ${mine.total}`);
  view(
    h("div", { class: "rating-top" },
      h("p", { class: "quiet" }, h("label", { for: "progress" }, `Task ${task.place} of ${mine.total}`), " ",
        h("span", { id: "done" })),
      h("progress", { id: "progress", max: mine.total, value: mine.done })),
    parts.heading, parts.chat, parts.responses,
    h("form", { id: "answers", onsubmit: next, onchange: changed },
      parts.questions,
      remark(),
      h("div", { class: "rating-bar" },
        h("button", { class: "primary", type: "submit", id: "next" }, task.place < mine.total ? "Next" : "Finish"),
        h("button", { type: "button", disabled: task.place === 1, onclick: () => show(task.place - 1) }, "Back"),
        h("button", { type: "button", onclick: undo }, "Undo"),
        h("button", { type: "button", class: "plain", onclick: instructions }, "Instructions"),
        h("span", { id: "saved", class: "quiet small" }))),
    keysOf(),
  );
  showProgress();
}

function showProgress() {
  const bar = document.getElementById("progress");
  if (!bar) return;
  bar.value = mine.done;
  document.getElementById("done").textContent = `(${mine.done} done)`;
}

function remark() {
  const text = task.answers.comment ?? "";
  const area = h("textarea", { name: "comment", rows: 2, maxlength: 2000 });
  area.value = text;
  return h("details", { class: "remark", open: Boolean(text) }, h("summary", {}, "Add a remark"),
    h("label", { class: "field" }, h("span", {}, "Remark on this task"), area));
}

function changed(event) {
  const { name, value } = event.target;
  if (!task || !name || task.answers[name] === value) return;
  task.answers[name] = value;
  event.target.closest(".question")?.classList.remove("lacking");
  const milliseconds = Math.min(86_400_000, Math.round(performance.now() - shownAt));
  sent.add({ item: task.item, question: name, value, milliseconds });
}

async function next(event) {
  event.preventDefault();
  document.activeElement?.matches("textarea") && document.activeElement.blur();
  const open = lacking();
  if (open.length) {
    open.forEach((one) => one.classList.add("lacking"));
    showProblem(`Still open: ${open.map((one) => one.dataset.question).join(", ")}.`);
    open[0].querySelector("input").focus();
    return;
  }
  showProblem("");
  const from = task;
  await sent.flush();
  if (task !== from) return;
  if (task.place < mine.total) await show(task.place + 1);
  else if (mine.done < mine.total) await goOn();
  else done();
}

function lacking() {
  return [...document.querySelectorAll(".question")].filter((one) => task.answers[one.dataset.question] === undefined);
}

async function undo() {
  await sent.flush();
  const answer = await sent.undo();
  if (!answer) return;
  if (answer.place === null) {
    announce("There is nothing to take back.");
    return;
  }
  await show(answer.place);
  announce("Your last answer was taken back.");
  (lacking()[0]?.querySelector("input") ?? place.querySelector("h1")).focus();
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const on = event.target;
  if (!task) {
    const start = event.key === "Enter" && !on.matches?.("button, a, summary, input") && document.getElementById("begin");
    if (start) start.click();
    return;
  }
  if (on.matches?.("textarea, select, input:not([type=radio], [type=checkbox])")) return;
  if (event.key === "Enter") {
    if (on.matches?.("button, a, summary, input")) return;
    event.preventDefault();
    document.getElementById("answers").requestSubmit();
    return;
  }
  if (!keys || event.repeat) return;
  if (event.key.toLowerCase() === "u") {
    event.preventDefault();
    undo();
    return;
  }
  const all = [...document.querySelectorAll(".question")];
  const current = document.activeElement?.closest?.(".question") ?? lacking()[0] ?? all[0];
  const value = valueOf(event.key, mine.questions[task.task][all.indexOf(current)]);
  if (value === undefined || on.matches?.("[type=checkbox], summary, button.plain")) return;
  event.preventDefault();
  choose(value, current, all);
}

function choose(value, current, all) {
  const input = [...current.querySelectorAll("input")].find((one) => one.value === value);
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  announce(`${titled(current.dataset.question)}: ${value ? (CHOICES[value] ?? value) : "cannot judge"}`);
  const following = all[all.indexOf(current) + 1];
  const radio = following?.querySelector("input:checked") ?? following?.querySelector("input");
  (radio ?? document.getElementById("next")).focus();
}

addEventListener("popstate", () => mine && !mine.closed && urlState.get("place") && show(Number(urlState.get("place")), { push: false }));
addEventListener("beforeunload", (event) => sent.waiting() && event.preventDefault());
document.addEventListener("keydown", onKey);
begin();
