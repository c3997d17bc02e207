// The page Steps: forms that start jobs, the command of each, and the jobs with what they print.

import { READ_ONLY, announce, api, fill } from "./common.js";
import { commandOf, follow, isAtWork, jobLine, startJob } from "./jobs.js";

const at = (id) => document.getElementById(id);
const SHOWN = 8;
const forms = [...document.querySelectorAll("form[data-step]")];
let atWork = null;

/** What a form says: numbers as numbers, and nothing where a field is empty. */
function body(form) {
  const said = { step: form.dataset.step };
  for (const field of form.querySelectorAll("[name]")) {
    if (field.value === "") continue;
    said[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return said;
}

async function showCommand(form) {
  const failure = form.querySelector("[data-failure]");
  try {
    form.querySelector("[data-command]").textContent = await commandOf(body(form));
    failure.textContent = "";
  } catch (error) {
    failure.textContent = error.message;
  }
}

async function submit(form, event) {
  event.preventDefault();
  try {
    atWork = await startJob(body(form));
    announce(`${atWork.title} has begun.`);
    look();
    at("work").scrollIntoView({ block: "start" });
  } catch { /* it stands above the page */ }
}

function draw(jobs) {
  at("work").hidden = !jobs.length;
  fill(at("jobs"), jobs.slice(0, SHOWN).map((job) => jobLine(job, { stop: READ_ONLY ? null : stop, read })));
  const busy = jobs.some(isAtWork);
  for (const button of document.querySelectorAll("form[data-step] [type=submit]")) button.disabled = busy;
  const was = atWork;
  atWork = jobs.find(isAtWork) ?? null;
  const over = was && !busy && jobs.find((job) => job.id === was.id);
  if (over) {
    announce(`${over.title}: ${over.state}.`);
    if (over.state === "done") location.reload();
  }
  document.body.dataset.busy = busy ? "yes" : "no";
}

async function stop(job) {
  try {
    await api("/api/steps/stop", { method: "POST", query: { job: job.id } });
    look();
  } catch { /* it stands above the page */ }
}

async function read(job) {
  const { output } = await api("/api/steps/output", { query: { job: job.id } });
  at("log-text").textContent = output || "Nothing so far.";
  at("log").showModal();
  at("log-text").scrollTop = at("log-text").scrollHeight;
}

for (const form of forms) {
  form.addEventListener("submit", (event) => submit(form, event));
  form.addEventListener("change", () => showCommand(form));
  showCommand(form);
}
const look = follow(draw);
