// The chat: one speaker, several models side by side.

import { READ_ONLY, RUN, add, announce, api, capitalise, fill, format, h, showProblem, urlState } from "./common.js";
import { colours, heatMap, numbers, summary, tokenSpan, underline } from "./chat-gates.js";
import { keep, kept } from "./chat-memory.js";
import { replies } from "./chat-stream.js";

const MOST = 4; // models that are chosen at first
const $ = (id) => document.getElementById(id);
let models = [];
let turns = [];
let running = null;
let experts = [];
let looks = {};

const label = (name) => models.find((model) => model.name === name)?.label ?? name;
const chosenModels = () => [...document.querySelectorAll("#model-list input:checked")].map((box) => box.value);
const length = () => Number($("max-tokens").defaultValue);
const settings = () => ({ temperature: Number($("temperature").value), max_tokens: Math.min(Number($("max-tokens").max), Math.max(1, Math.round(Number($("max-tokens").value || length())))) });
const shared = () => $("history").value === "shared";

async function start() {
  $("temperature").value = urlState.get("temperature", "0");
  $("max-tokens").value = urlState.get("max_tokens", length());
  $("max-tokens").value = settings().max_tokens;
  if (urlState.get("history") === "own") $("history").value = "own";
  $("temperature-shown").value = $("temperature").value;
  const answer = await api("/api/chat/models");
  models = answer.models;
  looks = answer.looks;
  experts = models.filter((model) => model.expert).map(({ name }) => name);
  showQueue(answer.queue);
  showModels();
  for (const turn of kept()) {
    turns.push(turn);
    show(turn);
  }
  turns.forEach(after);
  busy(false);
}

const stepsLink = () => h("a", { href: `/steps?${new URLSearchParams({ run: RUN })}` }, "Train or mix one on the page Steps");

function showModels() {
  const names = urlState.getAll("model").filter((name) => models.some((model) => model.name === name)); // the page says which there is not
  const able = models.filter((model) => !model.problem);
  const own = able.filter(({ name, expert }) => expert || ["average", "ties", "moe"].includes(name));
  const defaults = [...own.slice(0, MOST), ...able.filter(({ name }) => name.startsWith("endpoint:"))];
  const first = names.length ? names : (defaults.length ? defaults : able.slice(0, 3)).map((model) => model.name);
  const problems = [...new Set(models.map((model) => model.problem).filter(Boolean))];
  const all = problems.length === 1 && able.every((model) => model.name.startsWith("endpoint:")) && models.length > 1;
  $("lacking").hidden = !all;
  fill($("lacking"), all && [`${capitalise(problems[0])}. `, problems[0].includes("has no model") && stepsLink()]);
  fill($("model-list"),
    ...models.map((model) => h("label", {},
      h("input", { type: "checkbox", value: model.name, checked: !model.problem && first.includes(model.name), disabled: !!model.problem, onchange: remember }), model.label)),
    ...(all ? [] : models.filter((model) => model.problem).map((model) => h("p", { class: "quiet small why" }, `${model.label}: ${model.problem}`))),
    ...(models.length ? [] : [h("p", {}, "This run has no model yet. ", stepsLink())]));
}

function remember() {
  const { temperature, max_tokens } = settings();
  urlState.set({
    model: chosenModels(), temperature: temperature || null, max_tokens: max_tokens === length() ? null : max_tokens,
    history: shared() ? null : "own",
  });
  $("temperature-shown").value = $("temperature").value;
  turns.forEach(after);
}

/** What a model is to answer: all turns so far, with its own replies or those that were chosen for all. */
function context(model, until) {
  const context = [];
  for (const turn of turns.slice(0, until)) {
    context.push({ role: "speaker", text: turn.text });
    const text = turn.replies.get(shared() ? turn.choice : model)?.text;
    if (text) context.push({ role: "listener", text });
  }
  return context;
}

async function send(event) {
  event.preventDefault();
  const text = $("message").value.trim();
  const names = chosenModels();
  if (!text || running) return;
  if (!names.length) {
    showProblem("Choose who answers.");
    return;
  }
  showProblem("");
  const turn = { text, models: names, replies: new Map(), choice: null, settings: settings() };
  const asks = names.map((model) => ({ model, context: [...context(model, turns.length), { role: "speaker", text }] }));
  for (const { model, context: history } of asks) turn.replies.set(model, { model, text: "", tokens: [], experts: null, state: "waiting", context: history });
  turns.push(turn);
  $("message").value = "";
  show(turn);
  running = new AbortController();
  busy(true);
  try {
    await replies({ asks, ...turn.settings }, (kind, data) => take(turn, kind, data), running.signal);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error instanceof TypeError ? "The studio does not answer: is it still running?" : error.message);
  }
  running = null;
  for (const reply of turn.replies.values()) if (!["done", "failed"].includes(reply.state)) stopped(turn, reply);
  turn.choice ??= defaultChoice(turn);
  show(turn, true);
  keep(turns);
  busy(false);
  announce("The replies are there.");
  if (document.activeElement === document.body || document.activeElement === $("stop")) $("message").focus();
}

function defaultChoice(turn) {
  const answered = turn.models.filter((name) => turn.replies.get(name).text);
  return answered.includes("moe") ? "moe" : answered[0] ?? null;
}

function take(turn, kind, data) {
  const reply = turn.replies.get(data.model);
  if (!reply) return;
  if (kind === "loading") reply.state = "loading";
  else if (kind === "experts") {
    reply.experts = experts = data.experts;
    colours(experts, looks);
  } else if (kind === "token") {
    reply.state = "speaking";
    grow(reply, data);
    return;
  } else if (kind === "again") Object.assign(reply, { text: "", tokens: [] });
  else if (kind === "failed") Object.assign(reply, { state: "failed", message: data.message, partial: reply.text.trim(), text: "", tokens: [] });
  else if (kind === "done") Object.assign(reply, data, { state: "done" });
  draw(turn, reply);
}

/** One more token, without drawing the reply anew. */
function grow(reply, { text, gates }) {
  const token = { text, gates: gates ?? null };
  reply.tokens.push(token);
  reply.text += text;
  const line = reply.card?.querySelector(".text");
  if (!line) return;
  if (reply.tokens.length === 1) fill(line);
  add(line, gates ? tokenSpan(token) : text);
  if (gates) underline([line.lastChild], [token]);
}

function stopped(turn, reply) {
  Object.assign(reply, { state: reply.text.trim() ? "done" : "stopped", finish: "stopped", text: reply.text.trim(), mean: means(reply) });
  draw(turn, reply);
}

function means({ tokens, experts: names }) {
  if (!names) return [];
  const rows = tokens.flatMap((token) => token.gates);
  return names.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
}

function show(turn, again = false) {
  $("empty").hidden = true;
  if (!turn.place) {
    turn.place = h("section", { class: "chat-turn", "aria-label": `Turn ${turns.indexOf(turn) + 1}` },
      h("p", { class: "chat-said" }, h("span", { class: "who" }, "You, the speaker"), turn.text),
      turn.grid = h("div", { class: "chat-replies" }, [...turn.replies.values()].map((reply) => reply.card = h("article", { class: "card chat-reply", "aria-label": `${label(reply.model)}, reply ${turns.indexOf(turn) + 1}` }))),
      turn.after = h("div", { class: "chat-after" }));
    add($("conversation"), turn.place);
    turn.place.scrollIntoView({ block: "nearest" });
  }
  for (const reply of turn.replies.values()) draw(turn, reply);
  if (again) for (const one of turns) after(one);
}

function draw(turn, reply) {
  const { card, state } = reply;
  const spans = reply.experts && state === "done" ? reply.tokens.map(tokenSpan) : null;
  const waiting = { waiting: "Waiting for its turn.", loading: "Thinking; a model that is asked for the first time is loaded first.", stopped: "Stopped before it said anything." }[state];
  const line = h("div", { class: "text", ...(spans ? { role: "group", "aria-label": "The reply by token: arrow keys show the experts' shares" } : {}) },
    spans ?? (state === "speaking" ? reply.tokens.map((token) => (token.gates ? tokenSpan(token) : token.text)) : reply.text || (waiting ? h("span", { class: "waiting" }, waiting) : "")));
  const parts = [h("header", {}, h("h2", {}, label(reply.model)), goesOn(turn, reply))];
  if (state === "failed" && reply.partial) parts.push(h("div", { class: "text quiet" }, reply.partial), h("p", { class: "failed" }, "It broke off here; the conversation goes on without it."), h("p", { class: "quiet small" }, capitalise(reply.message)));
  else if (state === "failed") parts.push(h("p", { class: "failed" }, `No reply: ${reply.message}`));
  else parts.push(line);
  if (state === "done") parts.push(h("p", { class: "facts-line quiet small" }, factsLine(reply)));
  if (reply.left_out) parts.push(h("p", { class: "notice small" }, `It did not see the ${reply.left_out === 1 ? "oldest turn" : `${format.count(reply.left_out)} oldest turns`}: the conversation is longer than what it can hold.`));
  if (spans?.length) {
    underline(spans, reply.tokens);
    const place = h("div", { class: "token-facts" }, h("p", { class: "quiet" }, "Point at a token, or move through them with the arrow keys."));
    numbers(line, spans, reply.tokens, reply.experts, place);
    parts.push(...summary(reply), place, heat(reply));
  }
  fill(card, ...parts);
}

function heat(reply) {
  const scroll = h("div", { class: "scroll chat-heat", tabindex: "0", role: "group", "aria-label": "Heat map of tokens and layers" });
  return h("details", { ontoggle: (event) => {
    if (event.target.open && !scroll.childNodes.length) add(scroll, heatMap(reply));
  } }, h("summary", {}, "Token by layer"), scroll);
}

function factsLine(reply) {
  const how = { length: "cut at its longest", stopped: "stopped" }[reply.finish];
  return [
    format.plural(reply.completion_tokens ?? reply.tokens.length, "token"),
    reply.seconds ? `${format.decimal(reply.seconds, 1)} s` : null,
    reply.cost_usd ? `${format.dollars(reply.cost_usd)}, ${format.dollars(reply.spent_usd)} since the studio began` : null, how,
  ].filter(Boolean).join(" · ");
}

function goesOn(turn, reply) {
  if (!shared() || turn.models.length < 2 || reply.state !== "done") return null;
  const last = turn === turns.at(-1);
  return h("label", { class: "goes-on" }, h("input", {
    type: "radio", name: `goes-on-${turns.indexOf(turn)}`, checked: (turn.choice ?? defaultChoice(turn)) === reply.model, disabled: !last || !!running,
    onchange: () => {
      turn.choice = reply.model;
      keep(turns);
    },
  }), "goes on");
}

/** What can be done with a turn once it is answered: give it to raters. */
function after(turn) {
  if (!turn.after || READ_ONLY) return;
  const answered = [...turn.replies.values()].filter((reply) => reply.state === "done" && reply.text);
  const alike = new Set(answered.map((reply) => JSON.stringify(reply.context))).size === 1;
  fill(turn.after, ...(!answered.length ? [] : turn.note ? [h("p", { class: "quiet" }, turn.note)] : alike
    ? [h("button", { type: "button", onclick: () => rate(turn, answered) }, answered.length > 1 ? "Send these replies to rating" : "Send this reply to rating")]
    : [h("p", { class: "quiet" }, "The models answered different conversations here, so these replies cannot be rated side by side.")]));
}

async function rate(turn, answered) {
  const body = {
    context: answered[0].context, ...turn.settings,
    replies: answered.map((reply) => ({ model: reply.model, response: reply.text })),
  };
  try {
    const { is_new, queue } = await api("/api/chat/turns", { body });
    turn.note = is_new ? "Sent to rating." : "This turn was sent to rating before.";
    showQueue(queue);
    keep(turns);
    announce(turn.note);
    after(turn);
  } catch { /* shown already */ }
}

function showQueue(n) {
  $("queued").textContent = n ? `${format.plural(n, "turn")} wait for raters.` : "";
}

function busy(is) {
  $("send").disabled = is || READ_ONLY || !models.some((model) => !model.problem);
  $("stop").hidden = !is;
  $("export").disabled = $("clear").disabled = is || !turns.length;
  $("history").disabled = is;
  if (READ_ONLY) showProblem("This studio is read-only, so nobody can be asked here.");
}

/** One line a model that answered: its conversation as chat messages, which `inspect` and `score` read. */
function lines() {
  const names = [...new Set(turns.flatMap((turn) => turn.models))].filter((name) => turns.some((turn) => turn.replies.get(name)?.text));
  return names.map((model) => {
    const messages = [];
    turns.forEach((turn, i) => {
      const reply = turn.replies.get(model);
      if (!reply?.text) return;
      messages.splice(0, messages.length, ...[...reply.context, { role: "listener", text: reply.text }].map(({ role, text }) => ({ role: role === "speaker" ? "user" : "assistant", content: text })));
    });
    return JSON.stringify({ messages, model, run: RUN, ...turns.at(-1).settings });
  });
}

function download() {
  const link = h("a", { href: URL.createObjectURL(new Blob([lines().join("\n"), "\n"], { type: "application/jsonl" })), download: `chat-${RUN.replaceAll("/", "-")}.jsonl` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function clear() {
  for (const turn of turns) turn.place.remove();
  turns = [];
  keep(turns);
  $("empty").hidden = false;
  busy(false);
  $("message").focus();
}

$("composer").addEventListener("submit", send);
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
});
$("stop").addEventListener("click", () => running?.abort());
$("export").addEventListener("click", download);
$("clear").addEventListener("click", clear);
for (const id of ["temperature", "max-tokens", "history"]) $(id).addEventListener("input", remember);
document.documentElement.addEventListener("themechange", () => colours(experts, looks));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colours(experts, looks));
colours(experts, looks);
busy(false);
start();
