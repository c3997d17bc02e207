// New run: a file is dropped or named, looked at, judged by whom one likes; price and time; start.

import { add, announce, api, fill, format, h, showProblem } from "./common.js";
import { judge, judgeSaid, money, onJudge } from "./judging.js";
import { upload } from "./new-upload.js";

const at = (id) => document.getElementById(id);
const PIECE = Number(at("new").dataset.piece);
const COLUMNS = {
  context: "What the speaker wrote", response: "What the listener answered", messages: "A list of messages, or a transcript",
  group_by: "Conversation (rows are messages)", role: "Who speaks", content: "What is said", category: "Category",
};
let source = "";
let look = null;
let seen = null;
let asked = 0;
let reckoned = 0;

/** What the form says of how to read the source. */
function reading() {
  const columns = {};
  let group = "";
  for (const select of at("columns").querySelectorAll("select")) {
    if (!select.value) continue;
    if (select.name === "group_by") group = select.value;
    else if (select.name === "messages" && look?.reading.columns.dialogue === select.value) columns.dialogue = select.value;
    else columns[select.name] = select.value;
  }
  return { columns, group_by: group, format: at("format").value, encoding: at("encoding").value.trim(), delimiter: at("delimiter").value, sheet: at("sheet").value.trim() };
}

/** What the form says of who judges, and by which rubric. */
const judging = () => ({ ...judgeSaid(), rubric: at("rubric").value });

async function take(file) {
  if (!file) return;
  showProblem("");
  at("upload").hidden = false;
  const began = performance.now();
  try {
    const uploaded = await upload(file, PIECE, (bytes) => {
      const share = bytes / file.size;
      at("upload-bar").value = share;
      const left = share > 0.02 && share < 1 ? `, ${format.duration(((performance.now() - began) / 1000 / share) * (1 - share))} left` : "";
      at("upload-words").textContent = `${file.name}: ${format.share(bytes, file.size)}${left}`;
    });
    at("source").value = uploaded;
    await examine(uploaded, { name: file.name });
  } catch (error) {
    at("upload").hidden = true;
    showProblem(error.message);
  }
}

/** Look at a source. Columns are asked about anew where it is another one. */
async function examine(place, { name = "", again = false } = {}) {
  const number = (asked += 1);
  const read = again ? reading() : {};
  source = place;
  seen = null;
  at("reading").hidden = false;
  at("looking").hidden = false;
  at("looking").textContent = "Reading the beginning …";
  for (const id of ["judging", "starting", "skip-field", "bad", "reading-problem", "guessed"]) at(id).hidden = true;
  fill(at("facts"));
  fill(at("examples"));
  try {
    look = await api("/api/new/look", { body: { source, reading: read } });
    if (number !== asked) return;
    drawColumns();
    drawExamples();
    if (!again) at("name").value = runName(name || place);
    if (!look.problem) await count(number);
  } finally {
    if (number === asked) at("looking").hidden = true;
  }
}

function drawExamples() {
  const { problem, guessed, examples, reading: { columns } } = look;
  showReadingProblem(problem, guessed);
  if (problem) return;
  at("guessed").hidden = !guessed;
  at("guessed").textContent = guessed ? `Its columns are not named in a way that is known. It was read with ${Object.entries(columns).map(([key, name]) => `“${name}” as ${(COLUMNS[key] ?? key).toLowerCase()}`).join(" and ")}: if that is wrong, choose other columns below.` : "";
  fill(at("examples"), examples.map((one, i) => h("div", { class: "example small" },
    h("p", { class: "quiet" }, `Sample ${i + 1}${one.category ? `, ${one.category}` : ""}`),
    one.context.map((turn) => h("p", {}, h("strong", {}, turn.role === "speaker" ? "Speaker: " : "Listener: "), turn.text)),
    h("p", {}, h("strong", {}, "Response: "), one.response))));
  at("judging").hidden = false;
}

function showReadingProblem(problem, guessed = false) {
  at("reading-problem").hidden = !problem;
  at("reading-problem").textContent = problem ? `It cannot be read so: ${withoutOptions(problem)}` : "";
  at("mapping").open = Boolean(problem) || guessed;
  if (problem) announce("It cannot be read so.");
}

/** The problem without the command line's options: the form has them. */
const withoutOptions = (problem) => problem.replace(/: if that is the dialogue, pass .*$/, ".").replace(/: say which of them the dialogue is.*$/, ".");

/** Wait until all of it is counted, telling how far that is. */
async function count(number) {
  for (let pause = 50; ; pause = Math.min(2 * pause, 800)) {
    const { samples, inspection, problem } = await api("/api/new/count", { body: { source, reading: reading() } });
    if (number !== asked) return;
    if (problem) {
      showReadingProblem(problem);
      return;
    }
    if (inspection) {
      seen = inspection;
      break;
    }
    at("looking").textContent = samples ? `Counting: ${format.plural(samples, "sample")} so far …` : "Counting …";
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (number !== asked) return;
  }
  drawFacts();
  at("starting").hidden = false;
  announce(`${format.plural(seen.samples, "sample")} recognised.`);
  reckon();
}

function drawFacts() {
  const categories = Object.entries(seen.category_counts);
  const more = seen.categories > categories.length ? ", …" : "";
  const kinds = Object.entries(seen.personal_data).map(([kind, n]) => `${kind} ${format.count(n)}`).join(", ");
  const facts = [
    ["Format", seen.format + (seen.files.length > 1 ? `, ${format.plural(seen.files.length, "file")}` : "")],
    ["Samples", `${format.count(seen.samples)}${seen.duplicates ? `, ${format.count(seen.duplicates)} of them repeated` : ""}. A sample is a reply with the turns before it.`],
    ["Conversations", format.count(seen.conversations)],
    ["Categories", categories.length ? `${format.count(seen.categories)}: ${categories.map(([name, n]) => `${name} ${format.count(n)}`).join(", ")}${more}` : "none"],
    ["Personal data", seen.personal_samples ? `${format.plural(seen.personal_samples, "sample")} look as if they held some: ${kinds}` : "none found; that is a guess by patterns, not a promise"],
  ];
  const repairs = Object.entries(seen.repairs).map(([kind, n]) => `${kind} ${format.count(n)}`).join(", ");
  if (repairs) facts.push(["Mended", repairs]);
  fill(at("facts"), facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  at("bad").hidden = at("skip-field").hidden = !seen.bad_rows;
  at("skip").checked = false;
  if (seen.bad_rows) {
    at("bad").querySelector("summary").textContent = `${format.plural(seen.bad_rows, "row")} without a sample`;
    fill(at("bad").querySelector("ul"), seen.bad_row_examples.map((row) => h("li", {}, `${row.place}: ${row.reason}`)));
  }
}

/** The drop-downs of columns, set to what was read. */
function drawColumns() {
  const names = Object.keys(look.columns);
  const { columns, group_by: group } = look.reading;
  at("columns").hidden = !names.length;
  fill(at("columns"), Object.entries(COLUMNS).map(([key, label]) => {
    const value = key === "group_by" ? group : key === "messages" ? (columns.messages ?? columns.conversations ?? columns.dialogue) : columns[key];
    return h("label", { class: "field" }, h("span", {}, label),
      h("select", { name: key }, h("option", { value: "" }, "as its name says"), names.map((name) => h("option", { value: name, selected: name === value }, `${name} (${look.columns[name]})`))));
  }));
}

function runName(place) {
  const last = place.replace(/[/\\]+$/, "").split(/[/\\:]/).pop() ?? "";
  return last.replace(/\.(csv|tsv|jsonl?|parquet|xlsx|zip|txt|gz|zst|bz2|xz)/gi, "").replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}_]+$/gu, "").slice(0, 60) || "run";
}

async function reckon() {
  const number = (reckoned += 1);
  at("price").textContent = "Working out price and time …";
  at("personal").hidden = true;
  if (judge() !== "distilled" && !at("model").value.trim()) {
    at("price").textContent = "Name the endpoint's model, then work it out.";
    return;
  }
  let found;
  try {
    const { key, ...open } = judging();
    found = await api("/api/new/price", { body: { source, reading: reading(), judging: open } });
  } catch {
    if (number === reckoned) at("price").textContent = "That could not be worked out; see above.";
    return;
  }
  if (number !== reckoned) return;
  const { plan, seconds, basis } = found;
  at("price").textContent = `${format.plural(plan.to_judge, "different sample")} to judge: ${money(plan)}, about ${format.duration(Math.max(1, seconds))} (${basis}).`;
  if (plan.personal_samples && plan.sent_to) {
    at("personal").hidden = false;
    at("personal").textContent = plan.redact ? `What looks like personal data in ${format.plural(plan.personal_samples, "sample")} is replaced before it goes to ${plan.sent_to}.` : `${plan.sent_to} would get what looks like personal data in ${format.plural(plan.personal_samples, "sample")}: tick “Replace personal data” to keep it here.`;
  }
}

async function start(event) {
  event.preventDefault();
  if (seen?.bad_rows && !at("skip").checked) {
    showProblem(`${format.plural(seen.bad_rows, "row carries", "rows carry")} no sample: tick “Leave these rows out”, or mend the file.`);
    at("skip").focus();
    return;
  }
  at("go").disabled = true;
  try {
    const { run } = await api("/api/new/start", { body: { source, reading: reading(), judging: judging(), name: at("name").value.trim(), skip_bad_rows: at("skip").checked } });
    at("key").value = "";
    location.assign(`/live?${new URLSearchParams({ run })}`);
  } catch {
    at("go").disabled = false;
    window.scrollTo({ top: 0 });
  }
}

at("file").addEventListener("change", () => take(at("file").files[0]));
for (const kind of ["dragenter", "dragover"]) at("drop").addEventListener(kind, (event) => { event.preventDefault(); at("drop").classList.add("over"); });
for (const kind of ["dragleave", "drop"]) at("drop").addEventListener(kind, () => at("drop").classList.remove("over"));
at("drop").addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); });
at("named").addEventListener("submit", (event) => {
  event.preventDefault();
  const place = at("source").value.trim();
  if (place) examine(place).catch(() => {});
});
at("again").addEventListener("click", () => examine(source, { again: true }).catch(() => {}));
onJudge(reckon);
at("rubric").addEventListener("change", () => reckon());
at("reckon").addEventListener("click", () => reckon());
at("start").addEventListener("submit", start);
document.body.dataset.ready = "new";
