// The page of thresholds: one choice, kept in the address. While a slider moves it is drawn from what the studio has
// sent; once it rests, the studio sends the selection itself, and that is what stands.

import { AxisPair, pairOf } from "./axis-pair.js";
import { AXES, RUN, announce, api, axisName, capitalise, copy, debounce, fill, format, h, urlState } from "./common.js";
import { offerApply } from "./lab-apply.js";
import { cellAddress, command, download, inWords, loadFlips, loadSelection, loadCounts, moveAddress, packed, query, recipe, same, unpacked } from "./lab-choice.js";
import { SizeCurve, written } from "./lab-curve.js";
import { CategoryTable, SizeTable, Stack, counted, flipRows, swatch } from "./lab-tables.js";
import { ScoreMap } from "./score-map.js";

const at = (id) => document.getElementById(id);
const RESTING = 0; // milliseconds: one request at a time is out, so a drag asks no faster than the studio selects
const PAUSE = 150; // milliseconds of rest before the studio works out what flips, which is four selections more
const SETTLED = 250;
const KINDS = {
  counted: "",
  set: "People put some samples into a subset themselves, and there these stay wherever the thresholds are. While a slider moves the counts leave that out; once it rests they have it.",
  limited: "At most so much of a subset may be synthetic, as in the run's last selection; what is beyond that is left out.",
  expected: "The judge is not always sure: it gives each score with a probability, and select decides on these. Each subset gets as many samples as the judge expects it to have, and of all ways to do that the one that is most likely right. The map shows each sample at its nearest whole score, so a cell can hold samples of several subsets.",
  probable: "Two judges shared the work, and select puts each sample in its most probable subset. The map shows each sample at its nearest whole score, so a cell can hold samples of several subsets.",
  ranked: "This policy ranks the samples, so the studio works every count out anew when a threshold moves.",
};

/** How sizes are estimated that no selection has, by kind. */
const ESTIMATES = { set: "without the subsets that people set", limited: "without the limit on synthetic samples", expected: "as the judge expects" };

/** The sections that the window shows. What it does not show waits for the selection, so that a step takes no longer than a frame. */
const inSight = new Set();
const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) inSight[isIntersecting ? "add" : "delete"](target.id);
  if (present && !current()) redraw();
});

const state = { choice: null, category: null, half: false, pin: null, sort: "samples", up: null, right: null };
let offered, present, before, map, axes, curves, sizes, stack, categories, drawing, loading, pending = null;

const policy = () => offered.policies[state.choice.policy];
const subsets = () => policy().subsets;
const symbols = () => Object.fromEntries(present.thresholds.map(({ name, symbol }) => [name, symbol]));
const stepOf = ({ step }) => (state.half ? step : Math.max(1, step));
const baseline = () => state.pin ?? offered.last ?? offered.first;
const current = () => same(present.choice, state.choice);
/** Whether what the studio has sent is of the policy that is chosen, decided in the same way: only then can it be drawn. */
const fits = () => present?.choice.policy === state.choice.policy && present.choice.decide === state.choice.decide;

/** A threshold as the page takes it: within reach, on the steps of its slider. */
function snapped(name, value) {
  const slider = present.thresholds.find((one) => one.name === name);
  const step = stepOf(slider);
  return Math.min(slider.high, Math.max(slider.low, Math.round(Number(value) / step) * step));
}

function fromUrl() {
  if ("asItBegins" in at("lab").dataset) history.replaceState(null, "", `?${new URLSearchParams({ run: RUN })}`); // the page says why
  const chosen = urlState.get("policy", offered.last?.policy ?? offered.first.policy);
  const key = offered.policies[chosen] ? chosen : offered.first.policy;
  const start = offered.last?.policy === key ? offered.last.thresholds : offered.policies[key].thresholds;
  const decide = urlState.get("decide", offered.last?.decide ?? "auto");
  const values = Object.entries(start).map(([name, value]) => {
    const number = Number.parseFloat(urlState.get(`t.${name}`, value));
    return [name, Number.isFinite(number) ? number : value];
  });
  state.choice = { policy: key, thresholds: Object.fromEntries(values), decide: decide in offered.policies[key].decides ? decide : "auto" };
  state.half = urlState.get("half") === "1" || values.some(([, value]) => !Number.isInteger(value));
  state.sort = urlState.get("sort", "samples");
  state.pin = unpacked(urlState.get("base"), offered.policies, state.choice.decide);
  [state.up, state.right] = [urlState.get("up"), urlState.get("right")];
}

const toUrl = debounce(() => {
  const { choice, category, half, pin: base, sort, up, right } = state;
  const stale = [...new URLSearchParams(location.search).keys()].filter((name) => name.startsWith("t."));
  urlState.set({
    ...Object.fromEntries(stale.map((name) => [name, null])), ...query(choice),
    half: half ? 1 : null, category: category === null ? null : present.categories[category],
    base: base && packed(base), sort: sort === "samples" ? null : sort, up, right,
  });
}, 200);

/** Take over other thresholds and draw them with the next frame; what is slow comes when they have `settled`. */
function move(values, settled = true) {
  const thresholds = { ...state.choice.thresholds, ...values };
  if (Object.keys(values).some((name) => values[name] !== state.choice.thresholds[name])) choose({ ...state.choice, thresholds });
  if (settled) settle();
}

function choose(choice) {
  state.choice = choice;
  redraw();
  if (fits() && present.codesAt(choice.thresholds)) later();
  else load();
}

function redraw() {
  drawing ??= requestAnimationFrame(() => {
    drawing = null;
    draw();
  });
}

const later = debounce(() => current() || load(), RESTING);

const settle = debounce(() => {
  categories.sort(state.sort);
  toUrl();
  if (!present.complete || !current()) return;
  const counts = present.sizes(null, state.category);
  announce(`${inWords(state.choice, symbols())}: ${subsets().map(({ name }, k) => `${name} ${format.count(counts[k])}`).join(", ")}`);
}, SETTLED);

/** Ask for the points of the present choice, one request at a time; what is asked for meanwhile comes after it. */
async function load() {
  if (pending) return pending;
  pending = (async () => {
    while (!present || !current()) {
      const latest = await loadCounts(state.choice, present);
      loading?.abort();
      const frame = !present || present.key !== latest.key || present.choice.policy !== latest.choice.policy || present.choice.decide !== latest.choice.decide;
      present = latest;
      if (frame) drawFrame();
      redraw();
    }
  })();
  try {
    await pending;
  } finally {
    pending = null;
  }
  complete(present);
}

/** Let the studio select by a choice. */
async function complete(latest) {
  loading = new AbortController();
  const { signal } = loading;
  try {
    await loadSelection(latest, signal);
    if (latest === present) { redraw(); settle(); }
    await new Promise((rested) => setTimeout(rested, PAUSE));
    if (signal.aborted) return;
    await loadFlips(latest, signal);
    if (latest === present) redraw();
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

/** The baseline with all its counts; it is drawn when it is there. */
async function loadBaseline() {
  const choice = baseline();
  if (before && same(before.choice, choice)) return;
  before = null;
  const latest = await loadCounts(choice, null);
  await loadSelection(latest);
  if (!same(latest.choice, baseline())) return;
  before = latest;
  drawBaseline();
  redraw();
}

/**
 * What is drawn: `codes` are those of the points, and `selected` is what counts by category go by, null for the selection
 * itself; `about` marks estimates.
 */
function counts() {
  if (current() && present.complete) return { codes: present.codes, selected: null, about: false };
  const codes = present.codesAt(state.choice.thresholds);
  if (!codes) return { codes: present.codes, selected: present.complete ? null : present.codes, about: true };
  return { codes, selected: codes, about: !present.countable };
}

/** Whether to draw a section at this moment: one that nobody sees is drawn when the selection is there. */
const isDue = (id, selected) => selected === null || inSight.has(id);

function draw() {
  const { choice, category } = state;
  if (!fits()) {
    at("working").hidden = false;
    return;
  }
  const { selected, about } = counts();
  const samples = present.samples(category);
  if (present.codes || present.complete) {
    const now = counted(subsets(), present.sizes(selected, category), present.otherwise);
    const was = before && counted(names(before), before.sizes(null, category), before.otherwise);
    stack.draw(subsets(), subsets().map(({ name }) => now.by[name]), samples.scored);
    sizes.draw(subsets(), now, was, samples, about);
    if (isDue("categories", selected)) drawCategories(selected, about);
  }
  drawAbout(selected, about);
  at("working").hidden = !about;
  for (const id of ["sizes", "categories"]) at(id).setAttribute("aria-busy", about || selected !== null);
  drawMap();
  drawThresholds();
  if (isDue("curves", selected)) drawCurves();
  drawFlips();
  at("command").textContent = command(offered.command, policy(), choice, offered);
  at("back").disabled = same(baseline(), choice);
  at("baseline-key")?.classList.toggle("absent", !before || same(before.choice, choice));
}

function drawCategories(selected, about) {
  const past = before && { subsets: names(before), otherwise: before.otherwise, counts: before.byCategory(null) };
  categories.draw({ subsets: subsets(), otherwise: present.otherwise, counts: present.byCategory(selected) }, past, present.scored, state.category, about);
}

/** What the rule does, in a sentence, as far as it is known. */
function drawAbout(selected, about) {
  if (!present.codes && !present.complete) return;
  const { scored, unscored } = present.samples();
  const { by, kept } = counted(subsets(), present.sizes(selected), present.otherwise);
  const parts = subsets().filter(({ name }) => name !== present.otherwise).map(({ name }) => `${format.count(by[name])} for ${name}`);
  fill(at("about"), "Each sample goes into a subset by its scores. This rule keeps ", h("strong", {}, `${about ? "about " : ""}${format.count(kept)} of ${format.plural(scored, "sample")}`),
    ` (${format.share(kept, scored)}): ${parts.join(", ")}; ${format.count(by[present.otherwise])} are left out (${present.otherwise})${unscored ? `, and ${format.count(unscored)} have no scores` : ""}. `,
    "Choose another rule or move a threshold to see what changes; nothing is written before you press Apply.");
}

const names = (one) => offered.policies[one.choice.policy].subsets;

function drawMap() {
  const { codes, selected, about } = counts();
  if (!present.codes && !present.complete) return;
  const [right, up] = pair();
  const shown = present.map(selected && codes, right, up, state.category);
  const former = before && !same(before.choice, state.choice) && formerMap(right, up);
  map.counts = { ...shown, split: !about };
  map.draw({ map: shown, context: `${right} ${up} ${present.samples(state.category).scored} ${!about}`, baseline: former || null, subsets: subsets(), values: state.choice.thresholds, steps: Object.fromEntries(present.thresholds.map((one) => [one.name, stepOf(one)])) });
}

/** The subsets of the baseline by name, on the axes that are drawn; null where it looks at others. */
function formerMap(right, up) {
  const place = (i) => (i === null ? null : before.axes.findIndex((axis) => axis.name === present.axes[i].name));
  const [x, y] = [place(right), place(up)];
  if (x < 0 || y < 0) return null;
  const cells = before.map(null, x, y, state.category);
  return Array.from(cells.rules, (k) => names(before)[k]?.name ?? "");
}

function drawThresholds() {
  const { thresholds } = state.choice;
  for (const { name } of present.thresholds) {
    const slider = document.querySelector(`#sliders [data-threshold="${CSS.escape(name)}"]`);
    slider.value = thresholds[name];
    slider.nextElementSibling.textContent = written(thresholds[name]);
  }
  const sentences = present.words.map((sentence) => present.thresholds.reduce(
    (text, { name, symbol, value }) => text.replaceAll(`${symbol} = ${value}`, `${symbol} = ${thresholds[name]}`), sentence));
  const lines = [...at("rule").children];
  if (lines.length === sentences.length) lines.forEach((line, i) => { if (line.textContent !== sentences[i]) line.textContent = sentences[i]; });
  else fill(at("rule"), ...sentences.map((sentence) => h("li", {}, sentence)));
}

function drawCurves() {
  const { thresholds } = state.choice;
  const total = present.samples(state.category).scored;
  present.thresholds.forEach((threshold, i) => {
    const all = present.curve(threshold.name, state.category);
    if (!all.length) return;
    const points = all.filter(({ value }) => state.half || Number.isInteger(value) || value === thresholds[threshold.name]);
    if (present.complete && current()) {
      const here = points.find(({ value }) => value === thresholds[threshold.name]);
      if (here) here.sizes = present.sizes(null, state.category);
    }
    const others = present.thresholds.filter((one) => one !== threshold).map((one) => `${one.symbol} = ${written(present.values[one.name])}`).join(", ");
    const former = before?.choice.thresholds[threshold.name];
    curves[i].draw({
      threshold, points, value: thresholds[threshold.name], total, subsets: subsets(), others, about: ESTIMATES[present.kind] ?? "",
      former: before && former !== undefined && !same(before.choice, state.choice) ? former : null,
    });
  });
  if (at("curve-table").open) fill(at("curve-table").querySelector(".tables"), ...curves.filter((one) => one.frame).map((one) => one.table()));
}

function drawFlips() {
  if (!current()) return at("flips").setAttribute("aria-busy", true);
  const flips = present.flips(state.category);
  at("flips").setAttribute("aria-busy", !flips);
  if (!flips) return fill(at("flips").tBodies[0], h("tr", {}, h("td", { colspan: 4, class: "quiet" }, "Being worked out …")));
  const address = (flip, one) => moveAddress(RUN, present.choice, flip, [subsets()[one.from].name, subsets()[one.to].name], sampled());
  return fill(at("flips").tBodies[0], ...flipRows(flips, subsets(), symbols(), present.samples(state.category).scored, address));
}

/** What the page of samples calls the category that is shown. */
const sampled = () => (state.category === null || present.unnamed.includes(state.category) ? null : present.categories[state.category]);

/** The axes that are drawn, by their place: to the right, and upwards or null. */
function pair() {
  const names = present.axes.map(({ name }) => name);
  return pairOf(names, state).map((name) => (name === null ? null : names.indexOf(name)));
}

/** What changes with the policy, the category or the samples, and not with the thresholds. */
function drawFrame() {
  const { category } = state;
  const samples = present.samples(category);
  const of = category === null ? "all categories" : present.categories[category];
  const singly = policy().decides[state.choice.decide] === "most probable subsets";
  const note = KINDS[present.kind === "expected" && singly ? "probable" : present.kind];
  at("kind").textContent = note;
  at("kind").hidden = !note;
  at("map-of").textContent = `${format.plural(samples.scored, "sample")}${category === null ? "" : `, ${of}`}`;
  at("curve-of").textContent = `Share of ${format.plural(samples.scored, "sample")}, ${of}. Click to go there.`;
  at("flips-of").textContent = `When a threshold moves by one, ${of}. Each number leads to its samples.`;
  at("half").checked = state.half;
  at("half-field").hidden = present.thresholds.every(({ step }) => step >= 1);
  for (const input of document.getElementsByName("policy")) input.checked = input.value === state.choice.policy;
  fillFrame();
  drawBaseline();
}

function fillFrame() {
  const [right, up] = pair();
  map.lay(present.axes[right], up === null ? null : present.axes[up], present.thresholds);
  axes.show(present.axes.map(({ name }) => name), present.axes[right].name, up === null ? null : present.axes[up].name);
  fill(at("keys"), ...subsets().map((subset) => h("li", { dataset: { subset: subset.name } }, swatch(subset), ` ${subset.name}`)),
    h("li", { id: "baseline-key" }, h("span", { class: "dashes", "aria-hidden": "true" }), " where the baseline divides"));
  fill(at("sliders"), ...present.thresholds.flatMap((one) => {
    const id = `slider-${one.name}`;
    const input = h("input", { type: "range", id, min: one.low, max: one.high, step: stepOf(one), dataset: { threshold: one.name }, oninput: () => move({ [one.name]: Number(input.value) }) });
    const of = one.of.flatMap((name, i) => [i ? ", " : "", axisName(name, name, "quiet")]);
    return [h("label", { for: id }, `${one.symbol} `, of), input, h("output", { for: id })];
  }));
  const clicked = (values) => move(Object.fromEntries(Object.entries(values).map(([name, value]) => [name, snapped(name, value)])));
  curves = present.thresholds.map(() => new SizeCurve(clicked));
  fill(at("curves"), ...curves.map((one) => one.host));
  at("curves").closest("section").hidden = !curves.length || !present.slices.size;
  at("flips").closest("section").hidden = !present.thresholds.length;
  if (categories.names !== present.categories) categories.fill(present.categories);
  const decides = Object.entries(policy().decides);
  fill(at("decide"), ...decides.map(([key, words]) => h("option", { value: key }, words)));
  at("decide").value = state.choice.decide;
  at("decide-field").hidden = decides.length < 2;
  const all = `all categories (${format.count(present.categories.length)})`;
  fill(at("category"), h("option", { value: "" }, all), ...present.categories.map((name, i) => h("option", { value: i }, name)));
  at("category").value = state.category ?? "";
  const orders = { samples: "samples", name: "name", kept: "kept share", change: "difference to the baseline", ...Object.fromEntries(subsets().map(({ name }) => [`share ${name}`, `share of ${name}`])) };
  if (!orders[state.sort]) state.sort = "samples";
  fill(at("sort"), ...Object.entries(orders).map(([key, text]) => h("option", { value: key }, text)));
  at("sort").value = state.sort;
  at("save-policy").hidden = !policy().file;
}

function drawBaseline() {
  const base = state.pin ? "what you pinned" : offered.last ? "the run's last selection" : "the policy's own thresholds";
  const marks = before ? Object.fromEntries(before.thresholds.map(({ name, symbol }) => [name, symbol])) : symbols();
  const { title, name } = offered.policies[baseline().policy];
  const said = inWords({ ...baseline(), policy: title ? `${title} (${name})` : name }, marks);
  at("baseline").textContent = `The baseline is ${base}: ${said}.${offered.stale ? ` ${offered.stale}.` : ""}`;
  at("unpin").hidden = !state.pin;
}

function describe(cell) {
  const [right, up] = pair();
  const [x, y] = map.scores(cell);
  const { n, by, subset, split } = map.counts;
  const wide = subsets().length;
  const within = subsets().map(({ name }, k) => [name, by[cell * wide + k]]).filter(([, count]) => count > 0);
  const whose = split && within.length ? within.map(([name, count]) => (within.length > 1 ? `${name} ${format.count(count)}` : name)).join(", ") : subsets()[subset[cell]]?.name ?? "none";
  const where = up === null ? `${present.axes[right].name} ${x}` : `${present.axes[up].name} ${y}, ${present.axes[right].name} ${x}`;
  return `${where}: ${format.plural(n[cell], "sample")} (${format.share(n[cell], present.samples(state.category).scored)}), ${whose}`;
}

function chosenCell(cell) {
  const [right, up] = pair();
  const [x, y] = map.scores(cell);
  const scores = { ...(up !== null && { [present.axes[up].name]: y }), [present.axes[right].name]: x };
  fill(at("cell"), describe(cell), ". ", h("a", { href: cellAddress(RUN, scores, sampled()) }, "See these samples"));
}

function chooseCategory(place) {
  state.category = place === state.category ? null : place;
  drawFrame();
  redraw();
  settle();
}

function listen() {
  at("half").addEventListener("change", (event) => {
    state.half = event.target.checked;
    drawFrame();
    move(Object.fromEntries(present.thresholds.map(({ name }) => [name, snapped(name, state.choice.thresholds[name])])));
    redraw();
  });
  at("decide").addEventListener("change", (event) => {
    choose({ ...state.choice, decide: event.target.value });
    settle();
  });
  at("category").addEventListener("change", (event) => {
    state.category = null;
    chooseCategory(event.target.value === "" ? null : Number(event.target.value));
  });
  at("sort").addEventListener("change", (event) => {
    state.sort = event.target.value;
    categories.sort(state.sort);
    settle();
  });
  at("pin").addEventListener("click", () => pin({ ...state.choice }));
  at("unpin").addEventListener("click", () => pin(null));
  at("back").addEventListener("click", () => {
    state.half ||= Object.values(baseline().thresholds).some((value) => !Number.isInteger(value));
    choose({ ...baseline() });
    settle();
  });
  at("curve-table").addEventListener("toggle", redraw);
  offerApply(() => query(state.choice), takeLast);
  at("copy").addEventListener("click", async () => {
    done((await copy(at("command").textContent, "Copied the command")) ? "Copied." : "The browser does not let us: copy it from above.");
  });
  at("save-policy").addEventListener("click", () => {
    download(`${policy().name.replace(/[^\w.-]+/g, "-")}.yaml`, policy().file);
    done("Saved. The command reads it from the folder that you run it in.");
  });
  at("save").addEventListener("click", () => {
    const { choice } = state;
    const sizes = present.sizes(counts().selected, null);
    const words = subsets().map(({ name }, k) => `${format.count(sizes[k])} ${name}`).join(", ");
    const file = [RUN, choice.policy, ...Object.values(choice.thresholds)].join("-").replace(/[^\w.-]+/g, "-");
    download(`${file}.yaml`, recipe(offered.recipe, policy(), choice, offered, `Chosen on the page Thresholds: ${words}`));
    done("Saved. Run it with efficient-empathy run FILE.");
  });
}

/** The selection that was just written is the baseline now. */
async function takeLast() {
  offered = { ...(await api("/api/lab/choices")), first: offered.first };
  pin(null);
}

function pin(choice) {
  state.pin = choice;
  loadBaseline();
  drawBaseline();
  redraw();
  settle();
}

function done(sentence) {
  at("done").textContent = sentence;
}

async function begin() {
  try {
    offered = await api("/api/lab/choices");
    const [first] = Object.keys(offered.policies);
    offered.first = { policy: first, thresholds: offered.policies[first].thresholds, decide: "auto" };
    fromUrl();
    present = await loadCounts(state.choice, null);
  } catch {
    at("about").textContent = "";
    return;
  }
  const category = present.categories.indexOf(urlState.get("category"));
  state.category = category < 0 ? null : category;
  at("lab").hidden = false;
  fill(at("policies"), ...Object.entries(offered.policies).map(([key, one]) => h("label", { class: "choice" },
    h("input", { type: "radio", name: "policy", value: key, onchange: () => {
      const thresholds = Object.fromEntries(Object.entries(one.thresholds).map(([name, value]) => [name, state.choice.thresholds[name] ?? value]));
      choose({ policy: key, thresholds, decide: state.choice.decide in one.decides ? state.choice.decide : "auto" });
      settle();
    } }), h("span", {}, h("strong", {}, one.title ? `${capitalise(one.title)} (${one.name})` : one.name), one.description && h("small", { class: "quiet" }, one.description)))));
  fill(at("meanings"), ...Object.entries(AXES).flatMap(([name, words]) => [h("dt", {}, name), h("dd", {}, words)]));
  const dragged = (values, settled) => move(Object.fromEntries(Object.entries(values).map(([name, value]) => [name, snapped(name, value)])), settled);
  map = new ScoreMap(at("map"), { describe, onmove: dragged, onchoose: chosenCell });
  axes = new AxisPair(at("pair"), (chosen) => {
    Object.assign(state, chosen);
    fillFrame();
    redraw();
    settle();
  });
  sizes = new SizeTable(at("sizes").tBodies[0]);
  stack = new Stack(at("stack"), true);
  categories = new CategoryTable(at("categories"), chooseCategory);
  drawFrame();
  listen();
  for (const id of ["categories", "curves"]) watch.observe(at(id));
  await Promise.all([complete(present), loadBaseline()]);
  draw();
  if (categories.values) categories.sort(state.sort);
  document.body.dataset.ready = "lab";
}

await begin();
