// The form that sets up a study: its name, models, questions and raters, what it comes to, a preview, the links.

import { READ_ONLY, add, announce, api, debounce, fill, format, h, showProblem } from "./common.js";
import { questionnaire, startQuestions } from "./rate_questions.js";
import { keyTable, taskParts, welcome } from "./rate_view.js";

const form = document.getElementById("setup-form");
const howMany = document.getElementById("how-many");
const estimate = document.getElementById("estimate");
let overview;
let reload;
let asking = null;

/** Draw the form once from what the studio has; `load` fetches the studies again. */
export async function startSetup(first, load) {
  overview = first;
  reload = load;
  document.getElementById("setup").hidden = READ_ONLY;
  if (READ_ONLY) return;
  offerChat();
  if (overview.chat.turns && overview.models.length < 2) form.source.value = "chat";
  form.elements.name.value = unusedName();
  await startQuestions(estimateSoon);
  offerFilters(form.filter.dataset.chosen);
  fillModels();
  for (const one of form.source) one.addEventListener("change", fillModels);
  form.raters.addEventListener("input", askHowMany);
  form.addEventListener("input", estimateSoon);
  form.addEventListener("submit", setUp);
  document.getElementById("show-preview").addEventListener("click", preview);
}

/** The studies and the chat's turns as they are now. */
export function updateSetup(now) {
  overview = now;
  offerChat();
  offerFilters(form.filter.value);
}

const ofChat = () => form.source.value === "chat";

function offerChat() {
  const { turns } = overview.chat;
  document.getElementById("sources").hidden = !turns;
  document.getElementById("chat-turns").textContent = `${format.plural(turns, "turn")} sent from the chat`;
}

/** The filters that were saved on the page of samples. */
function offerFilters(chosen) {
  fill(form.filter, h("option", { value: "" }, "all of the run"), ...overview.filters.map((name) => h("option", { value: name, selected: name === chosen }, `those of the filter ${name}`)));
  document.getElementById("which").hidden = ofChat() || !overview.filters.length;
}

function unusedName() {
  const names = [...overview.studies, ...overview.sheets].map((one) => one.name.toLowerCase());
  for (let n = names.length + 1; ; n++) if (!names.includes(`study ${n}`)) return `study ${n}`;
}

function fillModels() {
  const models = document.getElementById("models");
  offerFilters(form.filter.value);
  const names = ofChat() ? overview.chat.models : overview.models;
  const own = (name) => !ofChat() && name === "reference";
  fill(models, ...names.map((name) =>
    h("label", {}, h("input", { type: "checkbox", name: "model", value: name, checked: !own(name) }),
      own(name) ? "reference (the samples’ own response)" : name)));
  if (!ofChat() && names.length < 2) add(models, h("p", { class: "notice" }, "No model has responded yet: have one respond on the page Steps first."));
  fill(form.against, form.against.options[0], ...names.map((name) => h("option", { value: name }, `${name} alone`)));
  form.against.value = "";
  document.getElementById("samples-title").textContent = ofChat() ? "Turns at most" : "Samples at most";
  estimateSoon();
}

const byCommas = () => form.raters.value.split(/[,;\n]+/).map((one) => one.trim().replace(/\s+/g, " ")).filter(Boolean);

/** A blank may part two names or stand in one: it is asked, not guessed. */
function askHowMany() {
  const whole = byCommas();
  const single = whole.flatMap((one) => one.split(" "));
  howMany.hidden = whole.length === single.length;
  const choice = (names, value) => h("label", {}, h("input", { type: "radio", name: "meant", value }), ` ${names.length}: ${names.join(" · ")}`);
  fill(howMany.querySelector("div"), howMany.hidden ? null : [choice(whole, "whole"), choice(single, "single")]);
}

function raters() {
  return form.meant?.value === "single" ? byCommas().flatMap((one) => one.split(" ")) : byCommas();
}

function chosen() {
  const models = [...form.querySelectorAll("[name=model]:checked")].map((one) => one.value);
  return { name: form.elements.name.value.trim(), source: form.source.value, filter: ofChat() ? "" : form.filter.value, models, raters: raters(), questionnaire: questionnaire(),
    samples: Number(form.samples.value), overlap: form.overlap.value ? Number(form.overlap.value) : null,
    against: models.includes(form.against.value) ? form.against.value : null,
    repeats: Number(form.repeats.value) / 100, seed: Number(form.seed.value), days: Number(form.days.value) };
}

/** What is chosen; throws where a question is not whole yet. */
function checked() {
  const setup = chosen();
  const { ratings, comparisons } = setup.questionnaire;
  if ([...ratings, ...comparisons].some((one) => !one.name || !one.text)) throw new Error("Give each question a short name and its words.");
  return setup;
}

/** What raters would get; throws what is missing for that. Before a rater is named it is drawn for one. */
async function drawn() {
  const setup = checked();
  asking?.abort();
  asking = new AbortController();
  const named = setup.raters.length ? {} : { raters: ["rater"], overlap: null };
  const answer = await api("/api/rate/preview", { body: { ...setup, ...named, name: setup.name || "study" }, signal: asking.signal, quiet: true });
  if (answer.missing) throw new Error(answer.missing);
  return answer;
}

const span = ([low, high], decimals = 0) => {
  const ends = [low, high].map((end) => format.decimal(Math.max(1, end), decimals));
  return ends[0] === ends[1] ? ends[0] : `${ends[0]} to ${ends[1]}`;
};

const estimateSoon = debounce(async () => {
  try {
    const now = await drawn();
    const minutes = span(now.minutes);
    estimate.className = "quiet";
    estimate.textContent = `${span(now.tasks)} ${now.tasks[1] === 1 ? "task" : "tasks"} for each rater, about ${minutes} ${minutes === "1" ? "minute" : "minutes"}`
      + `, on ${format.plural(now.samples, ofChat() ? "turn" : "sample")}.`;
  } catch (error) {
    if (error.name === "AbortError") return;
    estimate.className = "quiet lacking";
    estimate.textContent = error.message;
  }
}, 250);

async function preview() {
  let now;
  try {
    now = await drawn();
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error.message);
    return;
  }
  showProblem("");
  const tasks = now.examples.map((task) => {
    const parts = taskParts(task, now.questions[task.task]);
    parts.chat.setAttribute("aria-label", `Conversation: ${parts.heading.textContent}`);
    return h("div", { class: "rating" }, parts.heading, parts.chat, parts.responses, parts.questions);
  });
  fill(document.getElementById("preview-views"), h("div", { class: "rating" }, welcome(now, keyTable(now.questions))), tasks);
  document.getElementById("preview").showModal();
}

async function setUp(event) {
  event.preventDefault();
  if (!howMany.hidden && !form.meant?.value) {
    showProblem("Say how many raters you mean: a blank may part two names or stand in one.");
    howMany.querySelector("input").focus();
    return;
  }
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await api("/api/rate/studies", { body: checked() });
    showProblem("");
    await reload();
    form.elements.name.value = unusedName();
    announce("The links are made.");
    document.getElementById("studies").firstElementChild?.scrollIntoView({ block: "nearest" });
  } catch (error) {
    showProblem(error.message);
    document.getElementById("problem").scrollIntoView({ block: "center" });
  } finally {
    button.disabled = false;
  }
}
