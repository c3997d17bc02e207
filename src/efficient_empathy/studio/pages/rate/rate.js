// The owner's face of the rating: studies with their raters, links, progress, agreement, results, downloads.

import { announce, api, fill, h } from "./common.js";
import { studyCard, sheetsCard } from "./rate_card.js";
import { startSetup, updateSetup } from "./rate_setup.js";

const EVERY_MS = 3000;
const studies = document.getElementById("studies");
const cards = new Map();
let overview;
let begun = false;

async function load({ quiet = false } = {}) {
  try {
    overview = await api("/api/rate/studies", { quiet });
  } catch {
    if (!quiet) studies.removeAttribute("aria-busy");
    return;
  }
  draw();
  if (begun) updateSetup(overview);
  else {
    begun = true;
    await startSetup(overview, load);
  }
  studies.removeAttribute("aria-busy");
}

function draw() {
  const acts = { load, close: closing, finish, remove };
  const all = [...overview.studies, ...overview.sheets];
  for (const [name, card] of cards) {
    if (all.some((one) => keyOf(one) === name)) continue;
    card.root.remove();
    cards.delete(name);
  }
  if (!all.length) fill(studies, h("div", { class: "empty" }, h("p", {}, "Nothing is rated in this run yet.")));
  else studies.querySelector(".empty")?.remove();
  all.forEach((study, i) => {
    let card = cards.get(keyOf(study));
    if (!card) {
      card = study.id ? studyCard(study, acts) : sheetsCard(study, acts);
      cards.set(keyOf(study), card);
    }
    if (studies.children[i] !== card.root) studies.insertBefore(card.root, studies.children[i] ?? null);
    card.update(study);
  });
}

const keyOf = (study) => study.id ?? `sheets ${study.name}`;

function finish(study) {
  const dialog = document.getElementById("finish");
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "finish" && closing(study, "finish");
  dialog.showModal();
}

async function closing(study, action) {
  announce("One moment…");
  await api("/api/rate/close", { body: { study: study.id, action } });
  await load();
  announce({ finish: "Finished: the results are written.", close: "Closed to its raters.", reopen: "The study is open again." }[action]);
}

function remove(study) {
  const dialog = document.getElementById("delete");
  const typed = dialog.querySelector("[name=typed]");
  const button = dialog.querySelector("[value=delete]");
  document.getElementById("delete-label").textContent = `Type ${study.name} to delete it`;
  typed.value = "";
  button.disabled = true;
  typed.oninput = () => { button.disabled = typed.value.trim() !== study.name; };
  typed.onkeydown = (event) => event.key === "Enter" && button.disabled && event.preventDefault();
  dialog.returnValue = "";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "delete") return;
    await api("/api/rate/delete", { body: { name: study.name, typed: typed.value } });
    await load();
    announce(`The study ${study.name} is deleted.`);
  };
  dialog.showModal();
}

addEventListener("unhandledrejection", (event) => event.reason?.status !== undefined && event.preventDefault());
setInterval(() => document.visibilityState === "visible" && overview?.studies.some((study) => !study.closed_at) && load({ quiet: true }), EVERY_MS);
load();
