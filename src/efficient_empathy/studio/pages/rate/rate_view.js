// What a rater sees of a study, drawn the same for raters and in the owner's preview: instructions, keys, a task.

import { format, h } from "./common.js";

export const CHOICES = { left: "Left is better", tie: "Neither is better", right: "Right is better" };
export const KEYS = { ArrowLeft: "left", "=": "tie", ArrowRight: "right" };
export const TITLES = { likert: "Rate the response", ab: "Compare two responses" };
export const NONE = "";

export const titled = (name) => name[0].toUpperCase() + name.slice(1);

/** The numbers of a question's scale, lowest first. */
export function points({ scale: [low, high] }) {
  return Array.from({ length: high - low + 1 }, (_, i) => String(low + i));
}

/** What a key means to a question: a choice's value, `NONE` for "cannot judge", undefined for nothing. */
export function valueOf(key, question) {
  if (key.toLowerCase() === "n") return NONE;
  if (!question.scale) return KEYS[key];
  const all = points(question);
  if (key === "0" && !all.includes("0")) return all.includes("10") ? "10" : NONE;
  if (key.toLowerCase() === "x") return all.includes("10") ? "10" : undefined;
  return all.includes(key) ? key : undefined;
}

function scaleWords({ scale: [low, high], low: first, high: last }) {
  const ends = [[low, first], [high, last]].filter(([, words]) => words);
  return h("span", { class: "quiet" }, ` ${low} to ${high}. ${ends.map(([n, words]) => `${n}: ${words}. `).join("")}`.trimEnd());
}

/** The study's instructions, its questions and how rating works. `questions` is by task, `instructions` a list of paragraphs. */
export function welcome({ instructions, questions: { likert, ab } }, keyTable) {
  const [first, ...others] = instructions;
  const brief = first && first.length <= 80;
  const part = (title, lead, questions) => [h("h2", {}, title), h("p", {}, lead),
    h("ul", {}, questions.map((one) => h("li", {}, h("strong", {}, titled(one.name)), `: ${one.text}`, one.scale ? scaleWords(one) : null)))];
  return [
    h("h1", { tabindex: -1 }, brief ? first.replace(/\.$/, "") : "Before you begin"),
    (brief ? others : instructions).map((text) => h("p", {}, text)),
    likert ? part("Ratings", `One response at a time, ${format.plural(likert.length, "question")} on it.`, likert) : null,
    ab ? part("Comparisons", "Two responses side by side: left, right, or neither is better.", ab) : null,
    h("h2", {}, "How it works"),
    h("p", {}, "Every answer is saved at once. You can stop at any time and go on later with the same link, and go back "
      + "to change an answer until the rating is closed. Where you cannot judge, say so."),
    keyTable,
  ];
}

/** The keys that answer these questions; `control` stands under the table. */
export function keyTable({ likert, ab }, control) {
  const row = (pressed, does) => h("tr", {}, h("td", {}, pressed.map((one) => h("kbd", {}, one))), h("td", {}, does));
  const all = [...new Set((likert ?? []).flatMap(points))].map(Number).sort((a, b) => a - b);
  const ten = all.includes(10) ? (all.includes(0) ? "X" : "0") : null;
  const digits = all.filter((n) => n < 10).map(String);
  const none = all.length && !all.includes(0) && !all.includes(10) ? ["0", "N"] : ["N"];
  return h("details", { class: "keys" }, h("summary", {}, "Keys"),
    h("table", {}, h("tbody", {},
      likert ? row(digits, "rate, and go to the next question") : null,
      ten ? row([ten], "10") : null,
      ab ? row(["←", "=", "→"], "left, neither, right") : null,
      row(none, "cannot judge"), row(["Enter"], "next"), row(["U"], "undo the last answer"))),
    control);
}

/** A task: the conversation, the responses, and its questions with what is answered already. */
export function taskParts(task, questions) {
  return {
    heading: h("h1", { tabindex: -1 }, TITLES[task.task]),
    chat: h("section", { class: "rating-chat", "aria-label": "Conversation" },
      h("ol", { class: "chat" }, task.turns.map(({ role, text }) =>
        h("li", { class: role }, h("span", { class: "who" }, role === "speaker" ? "Speaker" : "Listener"), h("p", {}, text))))),
    responses: responses(task),
    questions: h("div", { class: `questions ${task.task}` }, questions.map((one) => question(one, task))),
  };
}

function responses(task) {
  const titles = task.task === "ab" ? ["Left", "Right"] : ["The listener says next"];
  return h("div", { class: `rating-responses ${task.task}` }, task.responses.map((text, i) =>
    h("section", { class: "card", "aria-label": titles[i] }, h("h2", {}, titles[i]), h("p", { class: "said" }, text))));
}

function question(one, task) {
  const options = one.scale ? points(one).map((n) => [n, n]) : Object.entries(CHOICES);
  const choice = ([value, label], extra) => h("label", { class: `choice ${extra ?? ""}` },
    h("input", { type: "radio", name: one.name, value, checked: task.answers?.[one.name] === value }), h("span", {}, label));
  const [low, high] = one.scale ?? [];
  const ends = (one.low || one.high) && h("p", { class: "ends quiet small" },
    h("span", {}, one.low ? `${low}: ${one.low}` : ""), h("span", {}, one.high ? `${high}: ${one.high}` : ""));
  return h("fieldset", { class: `question ${task.task}`, dataset: { question: one.name } },
    h("legend", {}, h("strong", {}, titled(one.name)), ". ", one.text),
    h("div", { class: "choices" }, options.map((option) => choice(option)), choice([NONE, "Cannot judge"], "none")),
    ends || null);
}
