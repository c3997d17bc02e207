// The questions of a study as a form: begin with a bundled questionnaire or a YAML file, change, add, remove, export.

import { announce, api, fill, format, h } from "./common.js";

const select = document.getElementById("bundled");
const editor = document.getElementById("editor");
const asked = document.getElementById("asked");
let bundled = [];
let base = null;
let changed = () => {};

/** Fetch the bundled questionnaires and show the first; `onchange` is called whenever what is asked is another. */
export async function startQuestions(onchange) {
  ({ questionnaires: bundled } = await api("/api/rate/questionnaires"));
  fill(select, bundled.map((one) => h("option", { value: one.name }, one.description)));
  select.addEventListener("change", () => show(bundled.find((one) => one.name === select.value)));
  document.getElementById("import").addEventListener("change", importFile);
  document.getElementById("export").addEventListener("click", exportFile);
  editor.addEventListener("input", () => {
    summarise();
    changed();
  });
  changed = onchange;
  show(bundled[0], { quiet: true });
}

/** What is asked now, as the studio takes it. */
export function questionnaire() {
  const rows = (kind) => [...editor.querySelectorAll(`[data-kind=${kind}]`)];
  const text = (row, name) => row.querySelector(`[name=${name}]`).value.trim();
  const named = (row) => ({ name: text(row, "q-name"), text: text(row, "q-text") });
  const content = {
    instructions: editor.querySelector("[name=q-instructions]").value.trim(),
    ratings: rows("ratings").map((row) => ({ ...named(row), scale: ["q-from", "q-to"].map((end) => (text(row, end) === "" ? null : Number(text(row, end)))),
      low: text(row, "q-low"), high: text(row, "q-high") })),
    comparisons: rows("comparisons").map(named),
  };
  const same = Object.keys(content).every((key) => JSON.stringify(content[key]) === JSON.stringify(trimmed(base)[key]));
  return same ? base : { name: bundled.some((one) => one.name === base.name) ? "own" : base.name, description: "", ...content };
}

function trimmed({ instructions, ratings, comparisons }) {
  const named = ({ name, text }) => ({ name, text });
  return { instructions: instructions.trim(), comparisons: comparisons.map(named),
    ratings: ratings.map((one) => ({ ...named(one), scale: one.scale, low: one.low, high: one.high })) };
}

function show(content, { quiet = false } = {}) {
  base = content;
  const list = (kind) => h("div", { class: "question-list", id: `list-${kind}` }, content[kind].map((one) => row(kind, one)));
  const more = (kind, title) => h("button", { type: "button", onclick: () => addRow(kind) }, title);
  const instructions = h("textarea", { name: "q-instructions", rows: 8, maxlength: 10_000 });
  instructions.value = content.instructions;
  fill(editor,
    h("label", { class: "field" }, h("span", {}, "Instructions; an empty line parts paragraphs"), instructions),
    h("h3", {}, "Ratings: one response, a number each"), list("ratings"), h("p", {}, more("ratings", "Add a rating")),
    h("h3", {}, "Comparisons: two responses, left, right or neither"), list("comparisons"),
    h("p", {}, more("comparisons", "Add a comparison")));
  summarise();
  if (!quiet) changed();
}

function row(kind, one) {
  const field = (title, name, value, extra = {}) =>
    h("label", { class: "field" }, h("span", {}, title), h("input", { type: "text", name, value, autocomplete: "off", ...extra }));
  const number = (title, name, value) => field(title, name, value, { type: "number", min: 0, max: 10 });
  const root = h("div", { class: "question-row", dataset: { kind }, role: "group", "aria-label": `${kind === "ratings" ? "Rating" : "Comparison"} ${one.name}`.trim() },
    h("div", { class: "fields" }, field("Short name", "q-name", one.name, { maxlength: 40 }),
      kind === "ratings" ? [number("From", "q-from", one.scale[0]), number("To", "q-to", one.scale[1])] : null),
    field("Question", "q-text", one.text, { maxlength: 1000 }),
    kind === "ratings" ? h("div", { class: "fields" }, field("The lowest number means", "q-low", one.low, { maxlength: 300 }),
      field("The highest number means", "q-high", one.high, { maxlength: 300 })) : null,
    h("p", {}, h("button", { type: "button", class: "plain", onclick: () => removeRow(root) }, "Remove this question")));
  return root;
}

function addRow(kind) {
  const added = row(kind, { name: "", text: "", scale: [1, 5], low: "", high: "" });
  document.getElementById(`list-${kind}`).append(added);
  added.querySelector("input").focus();
  summarise();
  changed();
}

function removeRow(root) {
  const list = root.parentElement;
  root.remove();
  list.nextElementSibling.querySelector("button").focus();
  announce("The question is removed.");
  summarise();
  changed();
}

function summarise() {
  const { ratings, comparisons } = questionnaire();
  const of = (noun, all, words) => all.length && `${format.plural(all.length, noun)}: ${all.map(words).join(", ")}`;
  const parts = [of("rating", ratings, (one) => `${one.name || "unnamed"} ${one.scale.join("–")}`),
    of("comparison", comparisons, (one) => one.name || "unnamed")].filter(Boolean);
  asked.textContent = parts.length ? `${parts.join("; ")}.` : "Nothing is asked yet.";
}

async function importFile(event) {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  show(await api("/api/rate/import", { body: { text: await file.text() } }));
  announce(`The questions of ${file.name} are there.`);
}

async function exportFile() {
  const content = questionnaire();
  const { text } = await api("/api/rate/yaml", { body: content });
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "application/yaml" })), download: `${content.name}.yaml` });
  link.click();
  URL.revokeObjectURL(link.href);
}
