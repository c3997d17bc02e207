// The live page: one stream of events, drawn as they come.

import { drawPace } from "./live-pace.js";
import { AxisPair, pairOf } from "./axis-pair.js";
import { READ_ONLY, RUN, announce, api, axisName, copy, fill, format, h, showProblem, urlState } from "./common.js";
import { ScoreMap } from "./score-map.js";

const SHOWN = 12;
const STATES = {
  none: ["Not scoring", "", "Nothing is scoring this run now."],
  running: ["Scoring", "good", "A process is scoring this run."],
  stopping: ["Stopping", "warm", "Finishing the calls in flight."],
  silent: ["Silent", "warm", "The process has said nothing for a while; it may be stuck."],
  died: ["Died", "bad", "The process is gone without a word. What was judged is kept."],
  complete: ["Finished", "good", "Every sample has been asked about."],
  stopped: ["Stopped", "warm", "It was stopped. What was judged is kept."],
  budget: ["Budget spent", "warm", "The budget ended it. A higher --max-cost goes on."],
  waiting: ["Waiting", "warm", "Batches are under way at the provider. The same command collects them."],
  error: ["Failed", "bad", ""],
};
const KINDS = { parse_error: "unreadable replies", api_error: "failed calls", refused: "refusals" };

const $ = (id) => document.getElementById(id);
const SAMPLES = [{ name: "", look: "look-measure", mark: "none", letter: "" }];
const cells = new Map(); // by the places of two axes, of their two scores: how many samples
const map = new ScoreMap($("map"), { describe: (cell) => `${inWords(cell)}: ${format.plural(map.counts.n[cell], "sample")}` });
const axisPair = new AxisPair($("pair"), (chosen) => {
  urlState.set(chosen);
  showMap(latest.axes);
});
let recent = [];
let condition = null;
let latest = null;

function connect() {
  const source = new EventSource(`/api/live/events?${new URLSearchParams({ run: RUN })}`);
  source.addEventListener("look", (event) => {
    showProblem("");
    take(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    const lost = source.readyState === EventSource.CLOSED;
    showProblem(lost ? "The studio ended the stream: open this page again." : "The studio does not answer; trying again.");
    state("Not connected", "warm", "What follows is what was seen last.");
    condition = null;
  });
}

function take(report) {
  latest = report;
  if (report.whole) {
    cells.clear();
    recent = [];
  }
  for (const [first, second, a, b, count] of report.cells) cells.set(`${first} ${second} ${a} ${b}`, count);
  recent = [...recent, ...report.recent].slice(-SHOWN);
  showState(report);
  showFigures(report);
  if (report.whole || report.cells.length) showMap(report.axes);
  showFailures(report);
  if (report.whole || report.recent.length) showRecent();
}

function state(name, look, sentence) {
  $("state").textContent = name;
  $("state").className = `tag ${look}`;
  $("sentence").textContent = sentence;
}

function showState(report) {
  const [name, look, sentence] = STATES[report.condition];
  const { control, process } = report;
  const by = report.judge ? ` ${report.judge}.` : "";
  let text = control.starting ? "The judge is being made ready." : sentence || process?.reason || "It ended with an error.";
  if (report.condition === "running") text = `By${by}`;
  else if (report.condition === "silent") text = `${sentence} Last heard of ${format.moment(process.written_at)}, process ${process.pid} on ${process.host}.`;
  else if (report.condition === "died") text = `Process ${process.pid} is gone without a word. What was judged is kept.`;
  else if (report.condition === "complete" && report.samples) text = judgedBy(report);
  if (report.problem) text = report.problem;
  state(control.starting ? "Starting" : name, look, text);
  if (condition !== null && condition !== report.condition) announce(`${name}. ${text}`);
  condition = report.condition;
  document.body.dataset.condition = condition;
  button($("stop"), ["running", "stopping"].includes(condition) && control.can_stop && !READ_ONLY);
  button($("go-on"), control.can_go_on && !READ_ONLY);
  $("next").hidden = condition !== "complete" || !report.ok;
  byHand(report);
}

const judgements = ({ ok, failed }) => Object.values(failed).reduce((sum, n) => sum + n, ok);

/** Of a run that has ended: a cascade's judge is asked about some samples only, and the distilled judge answers for the rest. */
function judgedBy(report) {
  const { samples, judge } = report;
  const asked = judgements(report);
  if (asked >= samples) return `Every sample has been asked about${judge ? `, by ${judge}` : ""}.`;
  return `${judge ?? "The judge"} was asked about ${format.count(asked)} of ${format.count(samples)} samples.`;
}

function button(element, shown) {
  element.hidden = !shown;
  if (!shown) element.disabled = false;
}

function byHand({ control, condition: now }) {
  let why = "";
  let command = null;
  if (control.failure) [why, command] = [`It could not start: ${control.failure}`, control.command];
  else if (control.stop_command && !control.can_stop && now !== "stopping") why = `To stop it: ${control.stop_command}.`;
  else if (control.command && !control.can_go_on && !control.starting) {
    [why, command] = ["To go on from there, run this in a terminal (the studio itself only starts what it has seen running):", control.command];
  } else if (["died", "stopped", "waiting", "error"].includes(now) && !control.can_go_on && !control.starting) {
    why = "To go on from there, run the same command again: it asks only for what is missing.";
  }
  $("by-hand").hidden = !why;
  $("by-hand-why").textContent = why;
  $("command").textContent = command ?? "";
  $("command").parentElement.hidden = !command;
}

function showFigures(report) {
  const { process, samples } = report;
  const working = ["running", "stopping", "silent"].includes(report.condition);
  const failures = judgements(report) - report.ok;
  for (const id of ["left", "in-flight"]) $(id).closest(".figure").hidden = !working; // there is none of it at rest
  const total = working ? process.total : samples ?? process?.total ?? 0;
  const done = Math.max(judgements(report), working ? process.done : 0); // what failed stays done while it is asked for again
  const progress = $("progress");
  progress.max = Math.max(1, total);
  progress.value = Math.min(done, progress.max);
  put("done", format.count(done), total ? `of ${format.count(total)}, ${format.share(done, total)}` : "");
  const rate = working ? process.rate : null;
  put("rate", rate === null ? "–" : pace(rate),
    report.latency_s === null ? "" : `${format.decimal(report.latency_s, 2)} s a reply`);
  put("left", working && process.left_s !== null ? format.duration(process.left_s) : "–",
    working && total > process.done ? `${format.plural(total - process.done, "sample")} to go` : "");
  const each = done > 0 ? report.cost_usd / done : 0;
  put("cost", format.dollars(report.cost_usd), working && each ? `about ${format.dollars(each * total)} in all`
    : report.tokens ? format.plural(report.tokens, "token") : "");
  put("failed", format.count(failures), report.requests ? `in ${format.plural(report.requests, "request")}` : "");
  drawPace(report.pace);
  const flying = working ? process.in_flight : null;
  put("in-flight", flying === null ? "–" : format.count(flying),
    working && process.concurrency !== null ? `of ${format.count(process.concurrency)} at most now` : "");
}

/** How fast it goes; below one a second, the time of each. */
function pace(rate) {
  if (rate >= 10) return `${format.count(rate)}/s`;
  return rate >= 1 || rate === 0 ? `${format.decimal(rate, 1)}/s` : `${format.decimal(1 / rate, 1)} s each`;
}

function put(id, value, note) {
  $(id).textContent = value;
  $(`${id}-note`).textContent = note;
}

/** The scores of a cell of the map, in words. */
function inWords(cell) {
  const scores = map.scores(cell);
  return [map.up, map.right].filter(Boolean).map(({ name }, i, shown) => `${name} ${scores[shown.length - 1 - i]}`).join(", ");
}

function showMap(axes) {
  if (!axes.length) {
    $("map-note").textContent = "No score has been given yet.";
    return;
  }
  const names = axes.map(([name]) => name);
  const [right, up] = pairOf(names, { right: urlState.get("right"), up: urlState.get("up") });
  const [x, y] = [names.indexOf(right), up === null ? names.indexOf(right) : names.indexOf(up)];
  const axis = (place) => ({ name: axes[place][0], low: axes[place][1], high: axes[place][2] });
  axisPair.show(names, right, up);
  map.lay(axis(x), up === null ? null : axis(y), []);
  const n = Array.from({ length: map.rows * map.columns }, (_, cell) => {
    const [a, b] = map.scores(cell);
    const scores = up === null ? [a, a] : x < y ? [a, b] : [b, a];
    return cells.get([Math.min(x, y), Math.max(x, y), ...scores].join(" ")) ?? 0;
  });
  map.counts = { n, by: n, subset: n.map(() => 0), rules: n.map(() => 0) };
  map.draw({ map: map.counts, baseline: null, subsets: SAMPLES, values: {}, steps: {}, context: `${right} ${up}` });
  const total = n.reduce((sum, count) => sum + count, 0);
  const most = n.indexOf(Math.max(...n));
  $("map-note").textContent = `${format.plural(total, "sample")}, each score rounded to a whole number. The most frequent: ${inWords(most)} (${format.plural(n[most], "sample")}).`;
}

function showFailures(report) {
  const kinds = Object.entries(report.failed).filter(([, n]) => n > 0);
  const failures = kinds.reduce((sum, [, n]) => sum + n, 0);
  const others = report.reasons.reduce((rest, { count }) => rest - count, failures);
  fill($("failures"),
    kinds.length
      ? h("ul", { class: "live-kinds" }, kinds.map(([kind, n]) => h("li", {}, h("b", {}, format.count(n)), KINDS[kind] ?? kind)))
      : h("p", { class: "quiet" }, report.ok ? "No sample is without a score." : "Nothing has been judged yet."),
    kinds.length > 0 && h("ul", { class: "live-reasons", "aria-label": "Reasons" }, report.reasons.map((one) => h("li", {},
      h("span", { class: "tag bad" }, one.state.replace("_", " ")), h("span", {}, one.reason || "no reason given"),
      h("span", { class: "quiet small" }, `${format.plural(one.count, "sample")}, last ${clock(one.at)}`)))),
    others > 0 && h("p", { class: "quiet small" }, `And ${format.plural(others, "sample")} for other reasons.`),
    report.asked_again > 0 && h("p", { class: "quiet small" }, `${format.plural(report.asked_again, "more reply", "more replies")} failed and ${report.asked_again === 1 ? "was" : "were"} asked for again.`));
}

const clock = (s) => (s ? new Date(s * 1000).toLocaleTimeString("en-GB") : "–");

function showRecent() {
  const score = (x) => (Number.isInteger(x) ? String(x) : x.toFixed(2));
  const rows = recent.toReversed().map((one) => {
    const text = one.state === "ok" ? one.raw : one.reason || one.raw;
    return h("li", {},
      h("span", { class: "quiet" }, clock(one.at)),
      h("a", { class: "mono", href: `/samples?${new URLSearchParams({ run: RUN, sample: one.sample_id })}` }, one.sample_id.slice(0, 10)),
      one.state === "ok" ? null : h("span", { class: "tag bad" }, one.state),
      ...Object.entries(one.scores).map(([name, value]) => h("span", {}, axisName(name), " ", h("b", {}, score(value)))),
      one.latency_s >= 0.05 ? h("span", { class: "quiet" }, `${format.decimal(one.latency_s, 1)} s`) : null,
      text ? h("span", { class: "detail quiet", title: text }, text) : null);
  });
  fill($("recent"), ...(rows.length ? rows : [h("li", { class: "quiet" }, "No judgement yet.")]));
}

async function ask(what, element) {
  element.disabled = true;
  try {
    await api(`/api/live/${what}`, { method: "POST" });
  } catch {
    element.disabled = false;
  }
}

$("stop").addEventListener("click", () => ask("stop", $("stop")));
$("go-on").addEventListener("click", () => ask("go-on", $("go-on")));
$("copy").addEventListener("click", () => copy(latest.control.command, "Command copied"));
connect();
