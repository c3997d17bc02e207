// Votes, tags and notes on single responses and judgements: kept as soon as they are given.

import { READ_ONLY, announce, api } from "./common.js";

function body(place) {
  const vote = place.querySelector("[data-vote][aria-pressed=true]")?.dataset.vote ?? "";
  const tags = [...new Set(place.querySelector("[data-tags]").value.split(",").map((tag) => tag.trim()).filter(Boolean))];
  return { sample_id: place.dataset.sample, responder: place.dataset.responder, vote, tags, note: place.querySelector("[data-note]").value.trim() };
}

async function keep(place, words) {
  await api("/api/compare/mark", { query: { run: place.dataset.run }, body: body(place) });
  announce(words);
}

function count(key, vote, by) {
  const place = document.querySelector(`[data-tally="${CSS.escape(key)}"]`);
  const [good, bad] = (place.textContent.match(/\d+/g) ?? [0, 0]).map(Number);
  const now = { good, bad };
  now[vote] += by;
  place.textContent = `${now.good} ${place.dataset.good}, ${now.bad} ${place.dataset.bad}`;
}

async function vote(place, button) {
  const before = place.querySelector("[data-vote][aria-pressed=true]");
  for (const one of place.querySelectorAll("[data-vote]")) one.setAttribute("aria-pressed", one === button && one !== before);
  try {
    await keep(place, before === button ? "Vote taken back." : `Voted ${button.textContent.toLowerCase()}.`);
  } catch {
    for (const one of place.querySelectorAll("[data-vote]")) one.setAttribute("aria-pressed", one === before);
    return;
  }
  if (before) count(place.dataset.key, before.dataset.vote, -1);
  if (before !== button) count(place.dataset.key, button.dataset.vote, 1);
}

for (const place of document.querySelectorAll(".mark")) {
  for (const element of place.querySelectorAll("button, input, textarea")) element.disabled = READ_ONLY;
  for (const button of place.querySelectorAll("[data-vote]")) button.addEventListener("click", () => vote(place, button));
  for (const field of place.querySelectorAll("input, textarea")) field.addEventListener("change", () => keep(place, "Note kept.").catch(() => {}));
}
