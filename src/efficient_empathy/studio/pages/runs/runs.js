// The list of runs: rename, put aside, delete, each after a question.

import { api } from "./common.js";

const at = (id) => document.getElementById(id);
const WORDS = {
  rename: { title: (run) => `Rename ${run}`, words: "Its folder gets the name too. Raters' links go on working.", label: "New name", button: "Rename" },
  archive: { title: (run) => `Archive ${run}`, words: "Its folder moves into the folder archive, where the studio does not look. Move it back to see it again.", label: "", button: "Archive" },
  delete: { title: (run) => `Delete ${run}`, words: "Its scores, everything that was made of it, and all ratings are deleted for good.", label: "Type its name to go on", button: "Delete" },
};
let asked = null;

function ask(run, action) {
  const words = WORDS[action];
  asked = { run, action };
  at("change-title").textContent = words.title(run);
  at("change-words").textContent = words.words;
  at("change-label").textContent = words.label;
  at("change-field").hidden = !words.label;
  at("change-name").value = action === "rename" ? run : "";
  at("change-do").textContent = words.button;
  at("change-do").classList.toggle("danger", action === "delete");
  at("change-problem").hidden = true;
  check();
  at("change").showModal();
}

function check() {
  const name = at("change-name").value.trim();
  const { action, run } = asked;
  at("change-do").disabled = (action === "rename" && (!name || name === run)) || (action === "delete" && name !== run);
}

async function change(event) {
  if (event.submitter?.value !== "do") return;
  event.preventDefault();
  try {
    await api("/api/runs/change", { query: { run: asked.run }, body: { action: asked.action, new_name: asked.action === "rename" ? at("change-name").value.trim() : "" }, quiet: true });
    location.reload();
  } catch (error) {
    at("change-problem").textContent = error.message;
    at("change-problem").hidden = false;
  }
}

for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", () => ask(button.closest("[data-run]").dataset.run, button.dataset.action));
}
at("change-name").addEventListener("input", check);
at("change").querySelector("form").addEventListener("submit", change);
