// What is done with all samples that pass the filters: kept as a filter by name, downloaded, corrected.

import { READ_ONLY, RUN, announce, api, fill, format, h } from "./common.js";
import { openForm } from "./samples-people.js";

const place = document.getElementById("with-all");
const NOT_A_FILTER = ["run", "sample", "right", "up"];
let page = null;
let told = null; // what is to be said once, below the buttons

/** Wire the menu to the page: `about()`, `query()` (the filters as an object), `onfilter(query)`. */
export function wireAll(hooks) {
  page = hooks;
}

/** Draw the menu for what the studio says of the run. */
export function showAll(about) {
  const nothing = about.matching === 0;
  const searching = Boolean(about.search && !about.search.ended);
  const own = filters();
  const file = (kind, name) => h("a", { class: "button", href: `/samples/export?${new URLSearchParams({ run: RUN, ...page.query(), as: kind })}`, download: "" }, name);
  const saved = h("select", { "aria-label": "Saved filters", onchange: () => saved.value && page.onfilter(new URLSearchParams(saved.value)) },
    h("option", { value: "" }, about.saved.length ? "Saved filters …" : "No saved filters"),
    about.saved.map(([name, query]) => h("option", { value: query, selected: query === own }, name)));
  saved.disabled = !about.saved.length;
  const name = about.saved.find(([, query]) => query === own)?.[0];
  fill(place, saved,
    !READ_ONLY && (name
      ? h("button", { type: "button", onclick: () => keep(name, null) }, "Drop this filter")
      : h("button", { type: "button", disabled: !own, onclick: () => ask() }, "Save this filter")),
    !nothing && !searching && [file("csv", "Download as CSV"), file("jsonl", "as JSON lines")],
    !READ_ONLY && !nothing && [
      h("button", { type: "button", disabled: searching, onclick: () => openForm() }, "Correct all …"),
      h("button", { type: "button", id: "to-golden", disabled: searching || !about.axes.length, onclick: () => askGolden() }, "Golden set …"),
      h("button", { type: "button", id: "to-rate", disabled: searching, onclick: () => rate(name) }, "Have them rated …")],
    told && h("p", { class: "small", role: "status" }, told));
  told = null;
}

/** The filters of the address, as they are kept. */
function filters() {
  const query = new URLSearchParams(location.search);
  for (const one of NOT_A_FILTER) query.delete(one);
  return query.toString();
}

/** Ask for a name in place of a button; `onname` gets it. */
function askName(button, label, onname) {
  const field = h("input", { type: "text", maxlength: 60, required: true, "aria-label": label, placeholder: "its name" });
  const form = h("form", { class: "group" }, field, h("button", { type: "submit", class: "primary" }, "Save"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onname(field.value.trim());
  });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") showAll(page.about()); });
  button?.replaceWith(form);
  field.focus();
}

const ask = () => askName(place.querySelector("button"), "The filter's name", (name) => keep(name, filters()));
/** Rate takes a filter by its name: one that has none gets it first. */
function rate(name) {
  const go = (of) => { location.href = `/rate?${new URLSearchParams({ run: RUN, ...(of && { filter: of }) })}`; };
  if (name || !filters()) return go(name);
  return askName(document.getElementById("to-rate"), "A name for these samples", async (given) => { if (await keep(given, filters())) go(given); });
}

const askGolden = () => askName(document.getElementById("to-golden"), "The golden set's name", golden);

async function golden(name) {
  const about = page.about();
  const answer = await api("/api/samples/golden", { query: page.query(), body: { name, expected: about.matching } }).catch(() => null);
  if (!answer) return;
  told = [`${format.plural(answer.items, "item")} in ${answer.folder}${answer.people ? `, ${format.count(answer.people)} with scores of people` : ""}. To test a judge on them: `,
    h("code", {}, answer.command), ", or ", h("a", { href: `/prompts?${new URLSearchParams({ run: RUN, golden: answer.key })}#test` }, "test a rubric on the page Prompts"), "."];
  announce(`The golden set ${name} is made.`);
  showAll(about);
}

async function keep(name, query) {
  const answer = await api("/api/samples/filters", { body: { name, query } }).catch(() => null);
  if (!answer) return false;
  const about = page.about();
  about.saved = answer.saved;
  showAll(about);
  announce(query === null ? `The filter ${name} was dropped.` : `The filter is kept as ${name}.`);
  return true;
}
