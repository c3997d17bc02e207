// The threshold lab: one state, kept in the URL, counted from the cube and drawn once a frame.

import { RUN, announce, api, copy, debounce, fill, format, h, urlState } from "./common.js";
import { Cube, HIGHEST, LOWEST, POLICIES, clampThreshold } from "./lab-cube.js";
import { SizeCurve } from "./lab-curve.js";
import { ScoreMap } from "./lab-map.js";
import { CategoryTable, SizeTable, Stack, flipRows, named } from "./lab-tables.js";
import { command, download, recipe, samplesAddress } from "./lab-words.js";

const at = (id) => document.getElementById(id);
const PAPER = { policy: "paper", alpha: 5, beta: 5 };
const KINDS = {
  whole: "",
  scores: "Some scores lie between whole numbers. They are counted exactly; the map shows each at its nearest cell.",
  expected:
    "The judge gives distributions, so these are expected counts: every sample counts at each pair of scores as much as the judge finds it probable. " +
    "Subsets come out at the sizes that select gives them.",
  median:
    "Several judges share this run, and select gives each sample its most probable subset. Here each sample counts at the medians of its " +
    "distributions, which comes near to that; far from the thresholds that were promised, counts may differ by some per cent.",
};

const state = { choice: { ...PAPER }, category: null, half: false, decide: "auto", pinned: null, sort: "samples" };
let cube, told, map, curves, sizes, stack, categories, drawing;

/** A threshold as the lab takes it: within reach, on whole or on half numbers. */
function snapped(value, half = state.half) {
  const step = half ? 0.5 : 1;
  return clampThreshold(Math.round(Number(value) / step) * step);
}

function fromUrl() {
  const last = told.last ?? PAPER;
  const policy = urlState.get("policy", last.policy);
  const number = (name) => {
    const value = Number.parseFloat(urlState.get(name, last[name]));
    return Number.isFinite(value) ? snapped(value, true) : PAPER[name];
  };
  state.choice = { policy: POLICIES[policy] ? policy : "paper", alpha: number("alpha"), beta: number("beta") };
  state.half = urlState.get("half") === "1" || [state.choice.alpha, state.choice.beta].some((v) => !Number.isInteger(v));
  const category = cube.categories.indexOf(urlState.get("category"));
  state.category = category < 0 ? null : category;
  state.sort = urlState.get("sort", "samples");
  const [pinned, alpha, beta] = (urlState.get("base") ?? "").split(",");
  const thresholds = [alpha, beta].map(Number.parseFloat);
  state.pinned = POLICIES[pinned] && thresholds.every(Number.isFinite)
    ? { policy: pinned, alpha: snapped(alpha, true), beta: snapped(beta, true) }
    : null;
}

const toUrl = debounce(() => {
  const { choice, category, half, decide, pinned, sort } = state;
  urlState.set({
    ...choice,
    half: half ? 1 : null,
    decide: decide === "auto" ? null : decide,
    category: category === null ? null : cube.categories[category],
    base: pinned && `${pinned.policy},${pinned.alpha},${pinned.beta}`,
    sort: sort === "samples" ? null : sort,
  });
}, 200);

const baseline = () => state.pinned ?? (told.last ? { policy: told.last.policy, alpha: snapped(told.last.alpha, true), beta: snapped(told.last.beta, true) } : PAPER);
const written = ({ policy, alpha, beta }) => `${policy}, α ${value(alpha)}, β ${value(beta)}`;
const value = (v) => `${v}`.replace("-", "−");
const same = (a, b) => a.policy === b.policy && a.alpha === b.alpha && a.beta === b.beta;

/** Take over changes and draw them with the next frame; what is slow to read comes when they have `settled`. */
function change(changes, settled = true) {
  for (const name of ["policy", "alpha", "beta"]) if (name in changes) state.choice = { ...state.choice, [name]: changes[name] };
  drawing ??= requestAnimationFrame(() => {
    drawing = null;
    draw();
  });
  if (settled) settle();
}

const settle = debounce(() => {
  categories.sort(state.sort);
  toUrl();
  const counts = cube.sizes(state.choice, state.category);
  const { subsets } = POLICIES[state.choice.policy];
  announce(`${written(state.choice)}: ${subsets.map((subset, k) => `${subset} ${format.count(counts[k])}`).join(", ")}`);
}, 250);

function draw() {
  const { choice, category } = state;
  const { subsets, words } = POLICIES[choice.policy];
  const base = baseline();
  const step = state.half ? 0.5 : 1;
  const samples = cube.samples(category);
  const counts = cube.sizes(choice, category);
  map.draw({ choice, baseline: same(base, choice) ? null : base, step });
  for (const name of ["alpha", "beta"]) {
    at(name).value = choice[name];
    at(`${name}-value`).textContent = value(choice[name]);
    const points = cube.curve(choice, name, step, category);
    curves[name].draw(points, choice, same(base, choice) ? null : base, samples.scored);
  }
  at("rule").textContent = `${words(value(choice.alpha), value(choice.beta))}.`;
  stack.draw(subsets, counts, samples.scored);
  sizes.draw(subsets, counts, named(base.policy, cube.sizes(base, category)), samples);
  categories.draw(subsets, cube.byCategory(choice), cube.byCategory(base), POLICIES[base.policy].subsets, cube.scored, category);
  fill(at("flips").tBodies[0],
    ...flipRows(cube.flips(choice, category), samples.scored, (cells) => samplesAddress(RUN, cells, sampled()), cube.expected),
  );
  at("command").textContent = command(told.command, choice, state.decide, told.seed);
  at("unpin").hidden = !state.pinned;
  at("back").disabled = same(base, choice);
  at("baseline-key").classList.toggle("absent", same(base, choice));
  for (const item of document.querySelectorAll(".keys [data-subset]")) item.hidden = !subsets.includes(item.dataset.subset);
  if (at("curve-table").open) drawCurveTables();
}

/** What the page of samples calls the category that is shown. */
const sampled = () => (state.category === null || told.cube.unnamed.includes(state.category) ? null : cube.categories[state.category]);

function drawCurveTables() {
  const tables = ["alpha", "beta"].map((name) => SizeCurve.table(cube.curve(state.choice, name, state.half ? 0.5 : 1, state.category), name, state.choice));
  fill(at("curve-table").querySelector(".tables"), ...tables);
}

/** What changes with the category or the cube, and not with the thresholds. */
function drawFrame() {
  const { category } = state;
  const samples = cube.samples(category);
  const of = category === null ? "all categories" : cube.categories[category];
  map.fill(cube.shown(category));
  at("category").value = category ?? "";
  at("map-of").textContent = `${format.count(samples.scored)} ${cube.expected ? "samples, expected counts" : "samples"}${category === null ? "" : `, ${of}`}`;
  at("curve-of").textContent = `Share of ${format.count(samples.scored)} samples, ${of}. Click to go there.`;
  at("flips-of").textContent = `When a threshold moves by one, ${of}${cube.expected ? "; expected counts" : ""}. Each number leads to its samples${cube.kind === "whole" ? "" : ", by their nearest whole scores"}.`;
  const base = state.pinned ? "pinned" : told.last ? "the run's last selection" : "the paper's thresholds";
  const other = told.other && !state.pinned ? ` The last selection was by ${told.other}, which has no thresholds.` : "";
  at("baseline").textContent = `The baseline is ${written(baseline())} (${base}).${other}${differs()}`;
  at("half").checked = state.half;
  for (const name of ["alpha", "beta"]) at(name).step = state.half ? 0.5 : 1;
  for (const input of document.getElementsByName("policy")) input.checked = input.value === state.choice.policy;
}

/** Whether the last selection, as it was written, has other counts than the lab has at its thresholds. */
function differs() {
  if (state.pinned || !told.last) return "";
  const counted = named(told.last.policy, cube.sizes(baseline()));
  const slack = cube.expected ? 1 : 0;
  if (Object.entries(told.last.subsets).every(([name, n]) => Math.abs(counted[name] - n) <= slack)) return "";
  const wrote = Object.entries(told.last.subsets).map(([name, n]) => `${name} ${format.count(n)}`).join(", ");
  return ` As it was written it has ${wrote}, decided on ${told.last.decided_on}.`;
}

function describe(cell) {
  const [s, r] = [Math.floor(cell / 11), cell % 11];
  const within = cube.within(cell, state.choice, state.category);
  const n = within.reduce((a, b) => a + b, 0);
  const { subsets, place } = POLICIES[state.choice.policy];
  const parts = subsets.filter((_, k) => within[k] > 0).map((subset, _, all) => (all.length > 1 ? `${subset} ${format.count(within[subsets.indexOf(subset)])}` : subset));
  const whose = parts.length ? parts.join(", ") : subsets[place(s, r, state.choice.alpha, state.choice.beta)];
  const count = n > 0 && n < 0.5 ? "fewer than 1 sample" : format.plural(Math.round(n), "sample");
  return `S ${s}, R ${r}: ${count}${cube.expected ? " expected" : ""} (${format.share(n, cube.samples(state.category).scored)}), ${whose}`;
}

function chosenCell(cell) {
  const link = h("a", { href: samplesAddress(RUN, [cell], sampled()) }, "See these samples");
  fill(at("cell"), describe(cell), ". ", link);
}

function chooseCategory(place) {
  state.category = place === state.category ? null : place;
  cubeCategoryChanged();
}

function cubeCategoryChanged() {
  drawFrame();
  change({});
}

function fillChoices() {
  const all = `all categories (${format.count(cube.categories.length)})`;
  fill(at("category"), h("option", { value: "" }, all), ...cube.categories.map((name, i) => h("option", { value: i }, name)));
  const orders = { samples: "samples", name: "name", kept: "kept share", change: "difference to the baseline", sensibility: "share of sensibility", rationality: "share of rationality", discard: "share of discard" };
  fill(at("sort"), ...Object.entries(orders).map(([key, text]) => h("option", { value: key }, text)));
  if (!orders[state.sort]) state.sort = "samples";
  at("sort").value = state.sort;
  const offered = Object.entries(told.decides);
  if (!(state.decide in told.decides)) state.decide = "auto";
  fill(at("decide"), ...offered.map(([key, words]) => h("option", { value: key }, words)));
  at("decide").value = state.decide;
  at("decide-field").hidden = offered.length < 2;
  categories.fill(cube.categories);
}

async function load() {
  told = await api("/api/lab/cube", { query: { decide: state.decide } });
  cube = new Cube(told.cube);
  const { scored, unscored } = cube.samples();
  at("about").textContent = `${format.plural(scored, "sample")} with scores${unscored ? `, ${format.count(unscored)} without` : ""}, in ${format.plural(cube.categories.length, "category", "categories")}. Nothing is written here: move the thresholds, then copy the command.`;
  at("kind").textContent = KINDS[cube.kind];
  at("kind").className = cube.kind === "median" ? "notice" : "quiet small";
  at("kind").hidden = !KINDS[cube.kind];
  at("lab").hidden = false;
}

function listen() {
  for (const input of document.getElementsByName("policy")) input.addEventListener("change", () => change({ policy: input.value }));
  for (const name of ["alpha", "beta"]) {
    at(name).addEventListener("input", (event) => change({ [name]: Number(event.target.value) }));
  }
  at("half").addEventListener("change", (event) => {
    state.half = event.target.checked;
    drawFrame();
    change({ alpha: snapped(state.choice.alpha), beta: snapped(state.choice.beta) });
  });
  at("decide").addEventListener("change", async (event) => {
    state.decide = event.target.value;
    await load();
    fillChoices();
    cubeCategoryChanged();
  });
  at("category").addEventListener("change", (event) => {
    state.category = event.target.value === "" ? null : Number(event.target.value);
    cubeCategoryChanged();
  });
  at("sort").addEventListener("change", (event) => {
    state.sort = event.target.value;
    change({});
  });
  at("pin").addEventListener("click", () => pin({ ...state.choice }));
  at("unpin").addEventListener("click", () => pin(null));
  at("back").addEventListener("click", () => {
    change(baseline());
    state.half ||= !Number.isInteger(state.choice.alpha) || !Number.isInteger(state.choice.beta);
    drawFrame();
  });
  at("curve-table").addEventListener("toggle", () => at("curve-table").open && drawCurveTables());
  at("copy").addEventListener("click", async () => {
    done((await copy(at("command").textContent, "Copied the command")) ? "Copied." : "The browser does not let us: copy it from above.");
  });
  at("save").addEventListener("click", () => {
    const { choice, decide } = state;
    const counts = cube.sizes(choice);
    const words = POLICIES[choice.policy].subsets.map((subset, k) => `${format.count(counts[k])} ${subset}`).join(", ");
    download(`${RUN.replace(/[^\w.-]+/g, "-")}-${choice.policy}-${choice.alpha}-${choice.beta}.yaml`, recipe(told.recipe, choice, decide, told.seed, `Chosen in the threshold lab: ${words}`));
    done("Saved. Run it with efficient-empathy run FILE.");
  });
}

function pin(choice) {
  state.pinned = choice;
  drawFrame();
  change({});
}

function done(sentence) {
  at("done").textContent = sentence;
}

async function begin() {
  const decide = urlState.get("decide", "auto");
  state.decide = ["auto", "scores", "probabilities"].includes(decide) ? decide : "auto";
  try {
    await load();
  } catch {
    at("about").textContent = "";
    return;
  }
  fromUrl();
  map = new ScoreMap(at("map"), { describe, moved: change, chosen: chosenCell });
  const clicked = (changes) => change(Object.fromEntries(Object.entries(changes).map(([name, v]) => [name, snapped(v)])));
  curves = { alpha: new SizeCurve(at("curve-alpha"), "alpha", clicked), beta: new SizeCurve(at("curve-beta"), "beta", clicked) };
  sizes = new SizeTable(at("sizes").tBodies[0]);
  stack = new Stack(at("stack"), true);
  categories = new CategoryTable(at("categories"), chooseCategory);
  fillChoices();
  listen();
  drawFrame();
  draw();
  categories.sort(state.sort);
  document.body.dataset.ready = "lab";
}

await begin();
