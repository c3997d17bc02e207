// The live page: one stream of events, drawn as they come.

import { READ_ONLY, RUN, announce, api, copy, fill, format, h, showProblem, svg } from "./common.js";

const CELL = 40;
const LEFT = 44;
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
  error: ["Failed", "bad", ""],
};
const KINDS = { parse_error: "unreadable replies", api_error: "failed calls", refused: "refusals" };

const $ = (id) => document.getElementById(id);
const cells = new Map();
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
  for (const [right, up, count] of report.cells) cells.set(`${right} ${up}`, count);
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
  let text = control.starting ? "Starting again." : sentence || process?.reason || "It ended with an error.";
  if (report.condition === "running") text = `By${by}`;
  else if (report.condition === "silent") text = `${sentence} Last heard of ${format.moment(process.written_at)}, process ${process.pid} on ${process.host}.`;
  else if (report.condition === "died") text = `Process ${process.pid} is gone without a word. What was judged is kept.`;
  else if (report.condition === "complete" && report.samples) text = `Every sample has been asked about, by${by}`;
  if (report.problem) text = report.problem;
  state(control.starting ? "Starting" : name, look, text);
  if (condition !== null && condition !== report.condition) announce(`${name}. ${text}`);
  condition = report.condition;
  document.body.dataset.condition = condition;
  button($("stop"), ["running", "stopping"].includes(condition) && control.can_stop && !READ_ONLY);
  button($("go-on"), control.can_go_on && !READ_ONLY);
  byHand(report);
}

function button(element, shown) {
  element.hidden = !shown;
  if (!shown) element.disabled = false;
}

function byHand({ control, condition: now }) {
  let why = "";
  let command = null;
  if (control.failure) [why, command] = [`Going on failed: ${control.failure}`, control.command];
  else if (control.stop_command && !control.can_stop && now !== "stopping") why = `To stop it: ${control.stop_command}.`;
  else if (control.command && !control.can_go_on && !control.starting) {
    [why, command] = ["To go on from there, run this in a terminal (the studio itself only starts what it has seen running):", control.command];
  } else if (["died", "stopped", "error"].includes(now) && !control.can_go_on && !control.starting) {
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
  const failures = Object.values(report.failed).reduce((sum, n) => sum + n, 0);
  const total = working ? process.total : samples ?? process?.total ?? 0;
  const done = working ? process.done : report.ok + failures;
  const progress = $("progress");
  progress.max = Math.max(1, total);
  progress.value = Math.min(done, progress.max);
  put("done", format.count(done), total ? `of ${format.count(total)}, ${format.share(done, total)}` : "");
  const rate = working ? process.rate : null;
  put("rate", rate === null ? "–" : `${rate >= 10 ? format.count(rate) : format.decimal(rate, 1)}/s`,
    report.latency_s === null ? "" : `${format.decimal(report.latency_s, 2)} s a reply`);
  put("left", working && process.left_s !== null ? format.duration(process.left_s) : "–",
    working && total > done ? `${format.plural(total - done, "sample")} to go` : "");
  const each = done > 0 ? report.cost_usd / done : 0;
  put("cost", format.dollars(report.cost_usd), working && each ? `about ${format.dollars(each * total)} in all`
    : report.tokens ? format.plural(report.tokens, "token") : "");
  put("failed", format.count(failures), report.requests ? `in ${format.plural(report.requests, "request")}` : "");
  const flying = working ? process.in_flight : null;
  put("in-flight", flying === null ? "–" : format.count(flying),
    working && process.concurrency !== null ? `of ${format.count(process.concurrency)} at most now` : "");
}

function put(id, value, note) {
  $(id).textContent = value;
  $(`${id}-note`).textContent = note;
}

const short = (n) => (n < 1000 ? String(n) : n < 9950 ? `${(n / 1000).toFixed(1)}k` : n < 999500 ? `${Math.round(n / 1000)}k` : `${(n / 1e6).toFixed(1)}M`);

function showMap(axes) {
  if (!axes.length) {
    $("map-note").textContent = "No score has been given yet.";
    return;
  }
  const [right, up] = axes.length === 2 ? [axes[1], axes[0]] : [axes[0], ["", 0, 0]];
  const [columns, rows] = [right, up].map(([, low, high]) => high - low + 1);
  const cell = Math.max(6, Math.min(CELL, Math.floor(440 / Math.max(columns, rows))));
  const most = Math.max(1, ...cells.values());
  const bottom = 6 + rows * cell;
  const named = (x, y) => `${up[0] && `${up[0]} ${y}, `}${right[0]} ${x}`;
  const parts = [];
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const y = up[1] + row;
    for (let column = 0; column < columns; column++) {
      const x = right[1] + column;
      const count = cells.get(`${x} ${y}`) ?? 0;
      total += count;
      const step = count ? Math.min(10, Math.ceil(Math.sqrt(count / most) * 10)) : 0;
      const [left, top] = [LEFT + column * cell, bottom - (row + 1) * cell];
      parts.push(svg("g", {},
        svg("title", {}, `${named(x, y)}: ${format.plural(count, "sample")}`),
        svg("rect", { class: `filled box look-measure q${step}`, x: left, y: top, width: cell, height: cell, rx: 3 }),
        count && cell > 24 ? svg("text", { class: `count look-measure q${step}`, x: left + cell / 2, y: top + cell / 2 + 4 }, short(count)) : null));
    }
    if (up[0] && row % Math.ceil(16 / cell) === 0) parts.push(svg("text", { class: "tick end", x: LEFT - 6, y: bottom - (row + 0.5) * cell + 4 }, y));
  }
  for (let column = 0; column < columns; column += Math.ceil(20 / cell)) {
    parts.push(svg("text", { class: "tick", x: LEFT + (column + 0.5) * cell, y: bottom + 15 }, right[1] + column));
  }
  const wide = LEFT + columns * cell + 4;
  parts.push(svg("text", { class: "axis", x: LEFT + (columns * cell) / 2, y: bottom + 34 }, `${right[0]} →`));
  if (up[0]) parts.push(svg("text", { class: "axis", transform: `translate(13 ${6 + (rows * cell) / 2}) rotate(-90)` }, `${up[0]} →`));
  const peak = [...cells].sort((a, b) => b[1] - a[1])[0];
  const about = `Map of ${format.plural(total, "judged sample")} by ${up[0] && `${up[0]} and `}${right[0]}`
    + (peak ? `; most, ${format.count(peak[1])}, at ${named(...peak[0].split(" "))}.` : ".");
  fill($("map"), svg("svg", { viewBox: `0 0 ${wide} ${bottom + 42}`, role: "img", "aria-label": about }, parts));
  $("map-note").textContent = `${format.plural(total, "sample")}; each score rounded to a whole number.`;
}

function showFailures(report) {
  const kinds = Object.entries(report.failed).filter(([, n]) => n > 0);
  if (!kinds.length && !report.reasons.length) {
    fill($("failures"), h("p", { class: "quiet" }, report.ok ? "None so far." : "Nothing has been judged yet."));
    return;
  }
  fill($("failures"),
    kinds.length
      ? h("ul", { class: "live-kinds" }, kinds.map(([kind, n]) => h("li", {}, h("b", {}, format.count(n)), KINDS[kind] ?? kind)))
      : h("p", { class: "quiet" }, "All that failed was answered later."),
    h("ul", { class: "live-reasons", "aria-label": "Latest reasons" }, report.reasons.map((one) => h("li", {},
      h("span", { class: "tag bad" }, one.state), h("span", {}, one.reason || "no reason given"),
      h("span", { class: "quiet small" }, `${format.plural(one.count, "time")}, last ${clock(one.at)}`)))));
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
      ...Object.entries(one.scores).map(([name, value]) => h("span", {}, `${name} `, h("b", {}, score(value)))),
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
