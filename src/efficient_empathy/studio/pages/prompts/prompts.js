// Rubrics: a copy is kept under a name of its own, tested on a golden set, compared, and adopted for new runs.

import { announce, api, format } from "./common.js";
import { isAtWork, jobList } from "./jobs.js";
import { judge, judgeSaid, money, onJudge } from "./judging.js";

const at = (id) => document.getElementById(id);
const fields = at("test-form").elements;
let reckoned = 0;

async function save(form, event) {
  event.preventDefault();
  const place = form.querySelector("[data-done]");
  try {
    const { file, name } = await api("/api/prompts/save", { body: { name: form.elements.name.value.trim(), text: form.elements.text.value }, quiet: true });
    place.textContent = `Saved as ${file}: test it below, or choose it on the page New run.`;
    if (![...fields.rubric.options].some((one) => one.value === name)) fields.rubric.add(new Option(name, name));
    choose(name);
  } catch (error) {
    place.textContent = `Not saved: ${error.message}`;
  }
  announce(place.textContent);
}

function choose(name) {
  fields.rubric.value = name;
  reckon();
}

const test = () => ({
  rubric: fields.rubric.value, golden: fields.golden.value, baseline: fields.baseline.value,
  repeats: Number.parseInt(fields.repeats.value, 10) || 1, judging: judgeSaid(),
});

/** Offer as a baseline only what was tested on the set that is chosen. */
function offerBaselines() {
  const { corpus } = fields.golden.selectedOptions[0].dataset;
  for (const one of fields.baseline.options) one.hidden = one.disabled = Boolean(one.value) && one.dataset.corpus !== corpus;
  if (fields.baseline.selectedOptions[0]?.disabled) fields.baseline.value = "";
}

async function reckon() {
  const number = (reckoned += 1);
  offerBaselines();
  at("embedded").hidden = judge() !== "distilled";
  const say = (words) => { if (number === reckoned) at("price").textContent = words; };
  if (judge() !== "distilled" && !at("model").value.trim()) return say("Name the endpoint's model: then its price stands here.");
  say("Working out the price …");
  const body = test();
  delete body.judging.key;
  try {
    const { plan, command } = await api("/api/prompts/price", { body, quiet: true });
    if (number === reckoned) at("command").textContent = command;
    say(`${format.plural(plan.to_judge, "judgement")}: ${money(plan)}.`);
  } catch (error) {
    say(`That cannot be tested so: ${error.message}`);
  }
}

async function begin(path, body, event) {
  event.preventDefault();
  try {
    begun(await api(`/api/prompts/${path}`, { body }));
    at("key").value = "";
    at("work").scrollIntoView({ block: "start" });
  } catch { /* it stands above the page */ }
}

async function adopt(name) {
  try {
    await api("/api/prompts/adopt", { body: { name } });
    location.reload();
  } catch { /* it stands above the page */ }
}

for (const form of document.querySelectorAll("form.edit")) form.addEventListener("submit", (event) => save(form, event));
for (const button of document.querySelectorAll("[data-adopt]")) button.addEventListener("click", () => adopt(button.dataset.adopt));
for (const link of document.querySelectorAll("[data-test]")) link.addEventListener("click", () => choose(link.dataset.test));
for (const name of ["rubric", "golden", "baseline", "repeats"]) fields[name].addEventListener("change", reckon);
onJudge(reckon);
at("test-form").addEventListener("submit", (event) => begin("test", test(), event));
at("compare-form")?.addEventListener("submit", (event) => begin("compare", { a: event.target.elements.a.value, b: event.target.elements.b.value }, event));
const begun = jobList("prompts", at("jobs"), at("log"), (jobs, over) => {
  at("work").hidden = !jobs.length;
  for (const button of document.querySelectorAll("#test [type=submit]")) button.disabled = jobs.some(isAtWork);
  if (over?.state !== "done") return;
  location.hash = "tests";
  location.reload();
});
reckon();
document.body.dataset.ready = "prompts";
