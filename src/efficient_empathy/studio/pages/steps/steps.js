// The page Steps: forms that start jobs, the command of each, and the jobs with what they print.

import { READ_ONLY } from "./common.js";
import { commandOf, isAtWork, jobList, startJob } from "./jobs.js";

const at = (id) => document.getElementById(id);
const forms = [...document.querySelectorAll("form[data-step]")];

/** What a form says: numbers as numbers, and nothing where a field is empty. */
function body(form) {
  const said = { step: form.dataset.step };
  for (const field of form.querySelectorAll("[name]")) {
    if (field.type === "checkbox") said[field.name] = field.checked;
    else if (field.value !== "") said[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return said;
}

async function showCommand(form) {
  const failure = form.querySelector("[data-failure]");
  try {
    const { command, refusal } = await commandOf(body(form));
    form.querySelector("[data-command]").textContent = command;
    failure.textContent = refusal && `It cannot begin so: ${refusal}.`;
  } catch (error) {
    failure.textContent = error.message;
  }
}

async function submit(form, event) {
  event.preventDefault();
  try {
    begun(await startJob(body(form)));
    at("work").scrollIntoView({ block: "start" });
  } catch { /* it stands above the page */ }
}

function draw(jobs, over) {
  at("work").hidden = !jobs.length;
  const busy = jobs.some(isAtWork);
  for (const button of document.querySelectorAll("form[data-step] [type=submit]")) button.disabled = busy;
  if (over?.state === "done") location.reload();
  document.body.dataset.busy = busy ? "yes" : "no";
}

for (const form of forms) {
  form.addEventListener("submit", (event) => submit(form, event));
  form.addEventListener("change", () => showCommand(form));
  showCommand(form);
}
const begun = jobList("steps", at("jobs"), at("log"), draw, { readOnly: READ_ONLY });
