// The owner's face of the rating: set up, links, progress, agreement, export, finish.

import { READ_ONLY, RUN, add, announce, api, copy, fill, format, h, showProblem } from "./common.js";

const EVERY_MS = 3000;
const EXPORTS = [["csv", "CSV"], ["jsonl", "JSONL"], ["parquet", "Parquet"], ["sheets", "Sheets (ZIP)"]];
const studies = document.getElementById("studies");
const form = document.getElementById("setup-form");
const cards = new Map();
let overview;

async function load({ quiet = false } = {}) {
  try {
    overview = await api("/api/rate/studies", { quiet });
  } catch (error) {
    if (!quiet) studies.removeAttribute("aria-busy");
    if (quiet && error.status !== 0) showProblem(error.message);
    return;
  }
  draw();
}

function draw() {
  offerChat();
  if (!document.getElementById("models").childElementCount) {
    if (overview.chat.turns && overview.models.length < 2) form.source.value = "chat";
    fillForm();
  }
  document.getElementById("setup").hidden = READ_ONLY;
  if (!overview.studies.length) fill(studies, h("div", { class: "empty" }, h("p", {}, "Nothing is rated in this run yet.")));
  else if (studies.querySelector(".empty")) fill(studies);
  overview.studies.forEach((study, i) => {
    let card = cards.get(study.id);
    if (!card) {
      card = made(study, overview.studies.length - i);
      cards.set(study.id, card);
    }
    if (studies.children[i] !== card.root) studies.insertBefore(card.root, studies.children[i] ?? null);
    card.update(study);
  });
  studies.removeAttribute("aria-busy");
}

const ofChat = () => form.source.value === "chat";

function offerChat() {
  const { turns } = overview.chat;
  document.getElementById("sources").hidden = !turns;
  document.getElementById("chat-turns").textContent = `${format.plural(turns, "turn")} sent from the chat`;
}

function fillForm() {
  const models = document.getElementById("models");
  const names = ofChat() ? overview.chat.models : overview.models;
  const own = (name) => !ofChat() && name === "reference";
  fill(models, ...names.map((name) =>
    h("label", {}, h("input", { type: "checkbox", name: "model", value: name, checked: !own(name) }),
      own(name) ? "reference (the samples’ own response)" : name)));
  if (!ofChat() && names.length < 2) add(models, h("p", { class: "notice" }, "No model has responded yet: run efficient-empathy generate first."));
  fill(form.against, form.against.options[0], ...names.map((name) => h("option", { value: name }, `${name} alone`)));
  form.against.value = "";
  document.getElementById("samples-title").textContent = ofChat() ? "Turns at most" : "Samples at most";
  estimate();
}

function made(study, number) {
  const parts = { state: h("span", {}), note: h("p", { class: "quiet small" }), rows: h("tbody", {}), agreement: h("div", {}),
    results: h("div", {}), buttons: h("div", { class: "bar" }) };
  const { setup } = study;
  const unit = setup.source === "chat" ? "turn" : "sample";
  const asked = [setup.likert && "ratings 1–5", setup.ab && (setup.by_dimension ? "comparisons by dimension" : "comparisons")];
  const root = h("section", { class: "card rate-card", "aria-label": `Rating ${number}` },
    h("div", { class: "rate-head" }, h("h2", {}, `Rating ${number}: ${setup.models.join(", ")}`), parts.state),
    h("p", { class: "quiet" }, `${format.plural(study.samples, unit)}${unit === "turn" ? " of the chat" : ""}, ${asked.filter(Boolean).join(" and ")}, `
      + `${format.decimal(100 * setup.repeats, 0)}% hidden repeats, seed ${setup.seed}, set up ${format.moment(study.made_at)}`,
    setup.left_out ? `; ${format.plural(setup.left_out, unit)} left out, which not every model responded to` : ""),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Raters of rating ${number}` },
      h("table", { class: "wide rate-raters" }, h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Rater"), h("th", { scope: "col" }, "Done"), h("th", { scope: "col", class: "n" }, "Seconds a task"),
        h("th", { scope: "col", class: "n" }, "Steady"), h("th", { scope: "col" }, "Last rated"), h("th", { scope: "col" }, "Link"))),
      parts.rows)),
    h("p", { class: "quiet small" }, "Steady: the share of hidden repeats that were answered the same."),
    parts.agreement, parts.results, parts.buttons, parts.note);
  const rows = new Map(study.raters.map((rater) => [rater.name, raterRow(study, rater)]));
  fill(parts.rows, ...[...rows.values()].map((row) => row.root));
  let shown = "";
  return { root, update(now) {
    now.raters.forEach((rater) => rows.get(rater.name).update(rater));
    const key = JSON.stringify([now.closed_at, now.agreement, now.results, now.answers > 0]);
    if (key === shown) return;
    shown = key;
    parts.state.className = now.closed_at ? "tag" : "tag good";
    parts.state.textContent = now.closed_at ? "closed" : "open";
    fill(parts.agreement, ...agreementTable(now.agreement, number));
    fill(parts.results, ...(now.results ? [h("h3", {}, "Results"), h("pre", { class: "boxed" }, now.results)] : []));
    fill(parts.buttons, ...buttons(now));
  } };
}

function raterRow(study, rater) {
  const bar = h("progress", { "aria-label": `${rater.name}: tasks done` });
  const cells = { done: h("span", { class: "small" }), seconds: h("td", { class: "n" }), steady: h("td", { class: "n" }), seen: h("td", {}), link: h("td", {}) };
  const root = h("tr", {}, h("th", { scope: "row" }, rater.name), h("td", {}, cells.done, bar), cells.seconds, cells.steady, cells.seen, cells.link);
  let link;
  return { root, update(now) {
    cells.done.textContent = `${format.count(now.done)} of ${format.count(now.total)}`;
    Object.assign(bar, { max: now.total, value: now.done });
    cells.seconds.textContent = format.decimal(now.seconds, 0);
    cells.steady.textContent = now.steady === null ? "–" : format.share(now.steady, 1);
    cells.seen.textContent = now.seen_at ? format.moment(now.seen_at) : "never";
    if (link === now.link) return;
    link = now.link;
    const held = cells.link.contains(document.activeElement);
    fill(cells.link, linkCell(study, now));
    if (held) cells.link.querySelector("button")?.focus();
  } };
}

function linkCell(study, rater) {
  const change = (action) => async () => {
    await api("/api/rate/links", { body: { study: study.id, rater: rater.name, action, days: study.setup.days } });
    announce(action === "revoke" ? `The link of ${rater.name} opens nothing any more.` : `${rater.name} has a new link.`);
    await load();
  };
  const named = (text, name, onclick, extra = {}) =>
    h("button", { type: "button", "aria-label": `${name} ${rater.name}`, onclick, disabled: READ_ONLY && !extra.free, class: extra.class }, text);
  if (!rater.link) {
    const why = rater.expires_at ? "ended" : "withdrawn";
    return h("div", { class: "actions" }, h("span", { class: "tag bad" }, why), named("New link", "New link for", change("renew")));
  }
  const copied = async (event) => {
    const button = event.currentTarget;
    const address = new URL(rater.link, location.origin).href;
    if (await copy(address, `The link of ${rater.name} is copied.`)) {
      const say = (text, name) => {
        button.textContent = text;
        button.setAttribute("aria-label", `${name} ${rater.name}`);
      };
      say("Copied", "Copied: link of");
      setTimeout(say, 1500, "Copy link", "Copy link of");
    } else prompt("The link:", address);
  };
  return h("div", { class: "actions" }, named("Copy link", "Copy link of", copied, { free: true }),
    named("Withdraw", "Withdraw the link of", change("revoke"), { class: "plain" }),
    h("span", { class: "quiet small" }, `until ${format.moment(rater.expires_at)}`));
}

function agreementTable(lines, number) {
  const common = lines.filter((line) => line.common);
  if (!common.length) return [h("p", { class: "quiet" }, "Agreement shows as soon as two raters have answered the same task.")];
  const columns = [["alpha_ordinal", "Krippendorff’s α, ordinal"], ["weighted_kappa", "Weighted κ"], ["fleiss_kappa", "Fleiss’ κ"]];
  const asked = (line) => `${line.question}${line.task === "ab" ? " (compared)" : ""}`;
  return [h("h3", {}, "Agreement so far"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Agreement in rating ${number}` },
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Question"),
      h("th", { scope: "col", class: "n" }, "By two or more"), columns.map(([, title]) => h("th", { scope: "col", class: "n" }, title)))),
    h("tbody", {}, common.map((line) => h("tr", {}, h("th", { scope: "row" }, asked(line)),
      h("td", { class: "n" }, `${format.count(line.common)} of ${format.count(line.items)}`),
      columns.map(([name]) => h("td", { class: "n" }, format.decimal(line[name], 2))))))))];
}

function buttons(study) {
  const answers = study.answers;
  const close = study.closed_at
    ? h("button", { type: "button", disabled: READ_ONLY, onclick: () => closing(study, { action: "reopen" }) }, "Open again")
    : h("button", { type: "button", class: "primary", disabled: READ_ONLY || !answers, onclick: () => finish(study) }, "Finish…");
  const links = EXPORTS.map(([kind, title]) => h("a", { class: "button", download: true,
    href: `/api/rate/export?${new URLSearchParams({ run: RUN, study: study.id, format: kind })}` }, title));
  return [close, h("span", { class: "quiet" }, "Export"), h("span", { class: "group" }, links)];
}

function finish(study) {
  const dialog = document.getElementById("finish");
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "finish"
    && closing(study, { action: "finish", replace: dialog.querySelector("[name=replace]").checked });
  dialog.showModal();
}

async function closing(study, body) {
  announce("One moment…");
  await api("/api/rate/close", { body: { study: study.id, ...body } });
  await load();
  announce(body.action === "finish" ? "Finished: the results are written." : "The rating is open again.");
}

function chosen() {
  const models = [...form.querySelectorAll("[name=model]:checked")].map((one) => one.value);
  const raters = form.raters.value.split(/[\s,;]+/).filter(Boolean);
  return { source: form.source.value, models, raters, samples: Number(form.samples.value), likert: form.likert.checked,
    ab: form.ab.checked && models.length > 1, by_dimension: form.by_dimension.checked,
    against: models.includes(form.against.value) ? form.against.value : null,
    repeats: Number(form.repeats.value) / 100, seed: Number(form.seed.value), days: Number(form.days.value) };
}

function estimate() {
  const { models, samples: most, likert, ab, against, repeats } = chosen();
  const samples = ofChat() ? Math.min(most, overview.chat.turns) : most;
  const pairs = !ab ? 0 : against ? models.length - 1 : models.length * (models.length - 1) / 2;
  const tasks = [likert ? samples * models.length : 0, samples * pairs].reduce((sum, n) => sum + n + Math.ceil(repeats * n), 0);
  document.getElementById("estimate").textContent = tasks ? `At most ${format.plural(tasks, "task")} for each rater.` : "";
}

for (const one of form.source) one.addEventListener("change", fillForm);
form.addEventListener("input", estimate);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await api("/api/rate/studies", { body: chosen() });
    await load();
    announce("The links are made.");
    studies.firstElementChild?.scrollIntoView({ block: "nearest" });
  } catch {
    document.getElementById("problem").scrollIntoView({ block: "center" });
  } finally {
    button.disabled = false;
  }
});
addEventListener("unhandledrejection", (event) => event.reason?.status !== undefined && event.preventDefault());
setInterval(() => document.visibilityState === "visible" && overview?.studies.some((study) => !study.closed_at) && load({ quiet: true }), EVERY_MS);
load();
