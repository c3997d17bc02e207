// People correct the machine: what they said of a sample, and the form in which they say it, of one sample or of many.

import { READ_ONLY, RUN, announce, api, fill, format, h, showProblem } from "./common.js";
import { marked } from "./samples-text.js";

const NAME = "studio-name";
const STATES = { overruled: "overruled since", withdrawn: "taken back" };
const MOST_LEVELS = 101;
const dialog = h("dialog", { class: "correct", "aria-labelledby": "correct-title" });
document.body.append(dialog);
let page = null;

/** Wire the form to the page: `about()` is what the studio says of the run, `query()` the filters, `onchange(answer)`. */
export function wirePeople(hooks) {
  page = hooks;
}

/** What people said of a sample, with what may be done about it. */
export function peopleSection(sample) {
  const { said } = sample;
  const parts = [];
  if (said.tags.length) parts.push(h("p", { class: "tags" }, said.tags.map((tag) => h("span", { class: "tag" }, marked(tag)))));
  if (said.note) parts.push(h("p", { class: "person-note", dir: "auto" }, marked(said.note)));
  if (said.history.length) parts.push(h("ol", { class: "said" }, said.history.map((one) => entry(sample, one))));
  if (!parts.length) parts.push(h("p", { class: "quiet" }, "Nobody has said anything of this sample."));
  if (!READ_ONLY) {
    parts.push(h("p", {}, h("button", { type: "button", id: "correct", "aria-keyshortcuts": "c", onclick: () => openForm(sample) }, "Correct this sample"),
      h("span", { class: "quiet small" }, " or press c")));
  }
  return [h("h3", {}, "Corrections by people"), ...parts];
}

/** What the list says of a sample that people have corrected or tagged. */
export function peopleMarks(row) {
  return [
    row.corrected_by && h("span", { class: "tag warm", title: `corrected by ${row.corrected_by.join(", ")}` }, "corrected"),
    row.tags && h("span", { class: "row-tags ellipsis" }, marked(row.tags.map((tag) => `#${tag}`).join(" "))),
  ];
}

/** What is to be said of the run where its selection is older than its corrections. */
export function peopleNote(about) {
  if (!about.people.outdated) return null;
  return h("p", { class: "notice" },
    "People have corrected samples since the last selection. The subsets here are as the selection would be now; to write them, ",
    h("a", { href: `/lab?${new URLSearchParams({ run: RUN })}` }, "apply it on Thresholds"), ".");
}

function entry(sample, one) {
  const about = one.samples > 1 ? ` (one of ${format.plural(one.samples, "sample")})` : "";
  const back = !READ_ONLY && ["stands", "overruled"].includes(one.state);
  return h("li", { class: one.state },
    h("p", {}, h("strong", {}, marked(one.by)), one.state === "back" ? " took back correction " : ": ",
      one.state === "back" ? one.what.replace(/\D+/g, "") : marked(one.what), about,
      STATES[one.state] && h("span", { class: "tag" }, STATES[one.state])),
    one.reason && h("p", { dir: "auto" }, "Why: ", marked(one.reason)),
    h("p", { class: "quiet small" }, h("time", { datetime: new Date(one.at * 1000).toISOString() }, format.moment(one.at)),
      ` · correction ${one.number}`, one.before && ` · before: ${one.before}`,
      back && [" · ", h("button", { type: "button", class: "plain", onclick: () => takeBack(sample, one) }, "Take back")]));
}

async function takeBack(sample, one) {
  const answer = await api("/api/samples/withdraw", { body: { sample: sample.sample_id, number: one.number, speaker: { by: own() } } }).catch(() => null);
  if (!answer) return;
  announce(`Correction ${one.number} was taken back.`);
  page.onchange(answer);
}

const own = () => localStorage.getItem(NAME) || page.about().people.by;

/** Open the form for one sample, or without one for all that pass the filters. */
export function openForm(sample = null) {
  if (READ_ONLY || dialog.open) return;
  const about = page.about();
  const many = format.plural(about.matching, "sample");
  const axes = sample?.axes ?? about.axes;
  const fields = {
    scores: axes.map((axis) => [axis[0], scoreField(axis, sample)]),
    subset: h("select", {}, h("option", { value: "" }, sample?.subset ? `as it is: ${sample.subset}` : "as it is"), about.people.subsets.map((name) => h("option", { value: name }, name))),
    tags: h("input", { type: "text", list: "known-tags", autocomplete: "off", value: sample ? sample.said.tags.join(", ") : "", placeholder: "such as odd, needs context" }),
    note: h("textarea", { rows: 2, maxlength: 4000 }),
    reason: h("input", { type: "text", maxlength: 500, placeholder: "stands beside the sample" }),
    by: h("input", { type: "text", maxlength: 80, value: own(), required: true, autocomplete: "name" }),
  };
  if (sample) fields.note.value = sample.said.note;
  const form = h("form", { method: "dialog" },
    h("h2", { id: "correct-title" }, sample ? "Correct this sample" : `Correct all ${many}`),
    sample ? "" : h("p", {}, `What you set here is set for every sample that passes the filters: ${many}. It can be taken back.`),
    axes.length > 0 && h("div", { class: "correct-row" }, fields.scores.map(([name, field]) => labelled(name, field))),
    about.people.subsets.length > 0 && labelled("Subset, whatever the policy says", fields.subset),
    labelled(sample ? "Tags, with commas between" : "Tags to add, with commas between", fields.tags), h("datalist", { id: "known-tags" }, about.people.tags.map((tag) => h("option", { value: tag }))),
    labelled("Note", fields.note),
    h("div", { class: "correct-row" }, labelled("Why", fields.reason), labelled("Your name", fields.by)),
    h("p", { id: "correct-problem", class: "problem", role: "alert", hidden: true }),
    h("p", { class: "bar" },
      h("button", { type: "submit", class: "primary" }, sample ? "Save" : `Correct ${many}`),
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(form, sample, fields, about.matching);
  });
  fill(dialog, form);
  dialog.showModal();
  (fields.scores[0]?.[1] ?? fields.tags).focus();
}

const labelled = (name, field) => h("label", { class: "field" }, h("span", {}, name), field);

function scoreField([axis, low, high], sample) {
  const now = sample?.scores[axis];
  const label = now === null || now === undefined ? "as it is" : `as it is: ${Number.isInteger(now) ? now : format.decimal(now, 2)}`;
  if (high - low >= MOST_LEVELS) return h("input", { type: "number", min: low, max: high, step: 1, placeholder: label });
  const levels = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return h("select", {}, h("option", { value: "" }, label), levels.map((level) => h("option", { value: level }, level)));
}

function words(text) {
  return [...new Set(text.split(",").map((tag) => tag.trim().replace(/\s+/g, " ")).filter(Boolean))];
}

async function save(form, sample, fields, expected) {
  const scores = Object.fromEntries(fields.scores.filter(([, field]) => field.value !== "").map(([axis, field]) => [axis, Number(field.value)]));
  const tags = words(fields.tags.value);
  const had = sample?.said.tags ?? [];
  const note = fields.note.value.trim();
  const said = {
    scores,
    ...(fields.subset.value && { subset: fields.subset.value }),
    tags: tags.filter((tag) => !had.includes(tag)), untags: had.filter((tag) => !tags.includes(tag)),
    ...(note !== (sample?.said.note ?? "") && { note }),
    reason: fields.reason.value, by: fields.by.value.trim(),
  };
  const body = { said, ...(sample ? { sample: sample.sample_id, seen: sample.said.history.at(-1)?.number ?? 0 } : { expected }) };
  localStorage.setItem(NAME, said.by);
  const button = form.querySelector(".primary");
  button.disabled = true;
  let answer;
  try {
    answer = await api("/api/samples/correct", { body, query: sample ? {} : page.query(), quiet: true });
  } catch (error) {
    const problem = form.querySelector("#correct-problem");
    problem.textContent = error.message;
    problem.hidden = false;
    return;
  } finally {
    button.disabled = false;
  }
  dialog.close();
  const meanwhile = answer.meanwhile.map((one) => `${one.by} said meanwhile: ${one.what}`).join("; ");
  const sentence = `Correction ${answer.number} is kept, of ${format.plural(answer.samples, "sample")}.`;
  if (meanwhile) showProblem(`${meanwhile}. Where both said something of the same thing, what you said last stands; both are in the list below.`);
  announce(meanwhile ? `${sentence} ${meanwhile}` : sentence);
  page.onchange(answer, Boolean(meanwhile));
}
