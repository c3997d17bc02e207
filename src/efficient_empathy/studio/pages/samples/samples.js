// The page of samples: what is asked for is in the address, everything shown follows from it.

import { AxisPair } from "./axis-pair.js";
import { RUN, add, announce, api, debounce, fill, format, h, showProblem, urlState } from "./common.js";
import { detail, score, subsetSwatch, useLooks } from "./samples-detail.js";
import { VirtualList } from "./samples-list.js";
import { ScoreBrush } from "./samples-map.js";
import { beginning, highlight, marked } from "./samples-text.js";

const SELECTS = ["subset", "category", "state", "split", "answered_by"];
const NUMBERS = ["apart", "p"];
const MOVE = ["move", "policy", "decide", "from", "to"];
const SCORE = "score.";
const FAILURES = ["parse_error", "api_error", "refused"];
const ANY = { subset: "Any subset", category: "Any category", state: "Any state", split: "Any split", answered_by: "Any judge" };
const $ = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 900px)");
const state = { about: null, version: null, search: null, sample: null, place: null, halt: false, typing: false, ticket: 0, openTicket: 0 };

const list = new VirtualList($("list"), {
  async fetchRows(offset, limit, signal) {
    const answer = await ask("rows", { offset, limit }, signal);
    return answer.rows;
  },
  draw: (row) => [
    h("span", { class: "row-head" },
      row.subset && subsetSwatch(row.subset),
      row.subset && h("span", { class: "unseen" }, `${row.subset},`),
      rowScores(row), h("span", { class: "quiet ellipsis" }, h("bdi", {}, marked(row.category ?? "")))),
    h("span", { class: "row-last quiet", dir: "auto" }, marked(row.last ?? "")),
    h("span", { class: "row-response", dir: "auto" }, marked(row.response || " "), row.length > 240 ? "…" : ""),
  ],
  onopen: (place, row) => open({ row: row.row, place }),
});
const brush = new ScoreBrush($("map"), {
  onchoose: (spans) => change(Object.fromEntries(drawn().map(([axis, ...scale]) => [SCORE + axis, spans && written(spans[axis], scale)]))),
  onpoint: (sentence) => { $("cell").textContent = sentence || "Drag over cells to choose them."; },
});
const axisPair = new AxisPair($("pair"), change);

/** A span of scores for the address; null for the whole scale. */
const written = ([low, high], [lowest, highest]) => (low === lowest && high === highest ? null : `${low}-${high}`);
/** The axes of the map, to the right first. */
const drawn = () => state.about.pair.map((name) => state.about.axes.find(([axis]) => axis === name));
/** The span of an axis that the address has, or its whole scale. */
function spanOf([axis, low, high]) {
  const span = (urlState.get(SCORE + axis) ?? `${low}-${high}`).split("-").map(Number);
  return [span[0], span[1] ?? span[0]];
}
const address = () => [...new URLSearchParams(location.search)].filter(([name]) => name !== "run" && name !== "sample");
/** The names of the filters that are set; those of a move count as one. */
const set = () => address().map(([name]) => name).filter((name) => ["q", "move", ...SELECTS, ...NUMBERS].includes(name) || name.startsWith(SCORE));
const cleared = (names) => Object.fromEntries(names.map((name) => [name, null]));
const moveNames = () => [...MOVE, ...address().map(([name]) => name).filter((name) => name.startsWith("t."))];

function rowScores(row) {
  if (row.state !== "ok") return h("span", { class: "bad-state" }, row.state.replace("_", " "));
  return h("span", { class: "row-scores" }, Object.entries(row.scores).map(([axis, x]) => [
    h("span", { class: "quiet" }, `${state.about?.letters[axis] ?? axis} `), x === null ? "–" : score(x), " "]));
}

/** Ask the studio under the filters of the address; files that have changed since are read anew. */
async function ask(what, query = {}, signal = undefined) {
  const answer = await api(`/api/samples/${what}`, { query: { ...Object.fromEntries(address()), ...query }, signal });
  if (state.version && answer.version !== state.version) {
    state.version = answer.version;
    announce("The run's files have changed: the list is read anew.");
    refresh({ keep: true });
  }
  state.version = answer.version;
  return answer;
}

/** Other filters or another order; a text that is still being typed goes with them. */
function change(changes) {
  state.typing = false;
  urlState.set({ q: $("q").value.trim(), ...changes });
  refresh();
}

async function refresh({ keep = false } = {}) {
  const ticket = ++state.ticket;
  state.control?.abort();
  state.control = new AbortController();
  $("list").setAttribute("aria-busy", "true");
  showFilters();
  highlight(urlState.get("q"));
  let about;
  try {
    about = await ask("view", {}, state.control.signal);
  } catch (error) {
    if (error.name !== "AbortError") failed(error);
    return;
  }
  if (ticket !== state.ticket) return;
  state.about = about;
  useLooks(about.looks);
  $("samples").hidden = false;
  $("about").textContent = `${format.plural(about.samples, "sample")} in ${RUN}`;
  fill($("notes"), ...about.notes.map((note) => h("p", { class: "notice" }, note)));
  fillFilters(about);
  showFilters();
  state.search = null;
  state.halt = false;
  showCount(); // first: a list that is hidden has no height to be laid out in
  list.reset(urlState.get("q") ? 0 : about.matching, { keep });
  if (urlState.get("q")) await search(ticket);
  if (ticket !== state.ticket) return;
  $("list").setAttribute("aria-busy", "false");
  if (state.sample) await placeShown(ticket);
}

/** Find the place of the open sample in a list that has changed. */
async function placeShown(ticket) {
  let sample;
  try {
    sample = await ask("one", { sample: state.sample.sample_id }, state.control.signal);
  } catch (error) {
    if (error.status === 404) close({ focus: false });
    return;
  }
  if (ticket !== state.ticket || sample.sample_id !== state.sample?.sample_id) return;
  state.place = sample.place;
  list.mark(state.place);
  $("detail").firstElementChild.replaceWith(detailHead());
}

function failed(error) {
  if (!state.about) $("about").textContent = "";
  showProblem(error.message);
}

/** Let the studio search, a quarter of a second at a time, until it has seen all, is stopped, or the filters change. */
async function search(ticket) {
  let refreshed = 0;
  while (ticket === state.ticket && !state.halt) {
    let search;
    try {
      search = (await ask("find", {}, state.control.signal)).search;
    } catch (error) {
      if (error.name !== "AbortError") { state.halt = true; showSearch(); }
      return;
    }
    if (ticket !== state.ticket) return;
    state.search = search;
    const due = search.ended || !refreshed || Date.now() - refreshed > 1000;
    showSearch();
    showCount();
    if (search.hits !== list.count && due) {
      list.reset(search.hits, { keep: true });
      refreshed = Date.now();
    }
    if (search.ended) break;
  }
  if (state.search?.ended) announce(`${$("count").textContent}. ${$("search-status").textContent}`);
  if (ticket === state.ticket && state.search && state.search.hits !== list.count) list.reset(state.search.hits, { keep: true });
}

function showSearch() {
  const { search } = state;
  $("search").hidden = !urlState.get("q");
  if (!search) return;
  Object.assign($("search-bar"), { max: Math.max(1, search.of), value: search.searched });
  $("search-bar").hidden = search.ended;
  $("search-status").textContent = `Searched ${format.count(search.searched)} of ${format.count(search.of)}`
    + (search.capped && search.searched < search.of ? `; ended at ${format.count(search.hits)} found.` : search.ended ? "." : state.halt ? "; stopped." : " …");
  $("search-stop").hidden = search.ended;
  $("search-stop").textContent = state.halt ? "Go on" : "Stop";
}

function showCount() {
  const searching = Boolean(urlState.get("q"));
  const n = searching ? state.search?.hits ?? 0 : state.about.matching;
  const all = state.about.samples;
  $("count").textContent = n === all ? format.plural(n, "sample") : `${format.count(n)} of ${format.plural(all, "sample")}`;
  const under = !searching || state.search?.ended || state.halt;
  $("list").hidden = n === 0;
  $("none").hidden = n > 0;
  $("none").firstElementChild.textContent = all === 0 ? "The run has no samples." : under ? "No sample passes these filters." : "Searching …";
}

function fillFilters(about) {
  for (const name of SELECTS) {
    const values = [...about.facets[name]];
    const chosen = urlState.get(name) ?? "";
    if (name === "state") {
      const failures = values.filter(([value]) => FAILURES.includes(value)).reduce((sum, [, n]) => sum + n, 0);
      if (failures || chosen === "failed") values.push(["failed", failures]);
    }
    if (chosen && !values.some(([value]) => value === chosen)) values.push([chosen, 0]);
    const label = (value) => (value === "failed" ? "any failure" : name === "state" ? value.replace("_", " ") : value);
    fill($(name), h("option", { value: "" }, ANY[name]),
      ...values.map(([value, n]) => h("option", { value }, `${beginning(label(value), 60)} (${format.count(n)})`)));
    $(name).closest("label").hidden = !about.offered.includes(name) && !chosen; // the same under all filters: nothing jumps
  }
  fillScores(about);
  $("move").hidden = !about.move;
  $("move").firstElementChild.textContent = about.move ? `Samples that ${about.move}.` : "";
  $("apart").closest("label").hidden = !about.pooled;
  $("p").closest("label").hidden = !about.certain;
  fill($("sort"), ...about.orders.map((name) => h("option", { value: name }, `By ${name.replace(SCORE, "")}`)));
}

/** Let the controls say what the address says. */
function showFilters() {
  for (const name of ["q", ...SELECTS, ...NUMBERS]) {
    const edited = name === "q" ? state.typing || document.activeElement === $("q") : document.activeElement === $(name) && NUMBERS.includes(name);
    if (!edited) $(name).value = urlState.get(name) ?? "";
  }
  if (state.about?.axes.length) {
    for (const field of document.querySelectorAll("#spans select")) {
      field.value = spanOf(state.about.axes.find(([axis]) => axis === field.dataset.axis))[field.dataset.end];
    }
    const [right, up] = drawn();
    const some = [right, up].some((axis) => axis && urlState.get(SCORE + axis[0]));
    if (right) brush.select(some ? { right: spanOf(right), up: up ? spanOf(up) : [0, 0] } : null);
  }
  $("sort").value = urlState.get("sort", "position");
  $("order").setAttribute("aria-pressed", urlState.get("order") === "desc");
  const count = set().length;
  $("filters-set").textContent = count ? `${count} set` : "";
  $("clear").disabled = !count;
  $("search").hidden = !urlState.get("q");
}

/** Open a sample, by its row or by its id; `place` is where it is in the list, where that is known. */
async function open({ row, sample, place = null }, { push = true, focus = true } = {}) {
  const ticket = ++state.openTicket;
  let answer;
  try {
    answer = await ask("one", sample ? { sample } : { row });
  } catch (error) {
    if (error.name !== "AbortError" && ticket === state.openTicket) failed(error);
    return;
  }
  if (ticket !== state.openTicket) return;
  state.place = place ?? answer.place;
  urlState.set({ sample: answer.sample_id }, { push: push && !urlState.get("sample") });
  if (state.place !== null && place === null) list.activate(state.place);
  list.mark(state.place);
  showDetail(answer, focus);
}

function showDetail(sample, focus) {
  state.sample = sample;
  fill($("detail"), detailHead(), ...detail(sample));
  $("detail").scrollTop = 0;
  $("samples").classList.add("opened");
  if (narrow.matches) scrollTo(0, 0);
  if (focus) $("detail-title").focus({ preventScroll: !narrow.matches });
}

function detailHead() {
  const at = state.place;
  const step = (by, name) => h("button", { type: "button", disabled: at === null || at + by < 0 || at + by >= list.count, onclick: () => move(by) }, name);
  return h("div", { class: "detail-head" },
    h("button", { type: "button", class: "back", onclick: () => close() }, "← List"),
    h("h2", { id: "detail-title", tabindex: "-1" }, at === null ? `Row ${format.count(state.sample.row + 1)}` : `${format.count(at + 1)} of ${format.count(list.count)}`),
    h("span", { class: "group" }, step(-1, "Previous"), step(1, "Next")));
}

async function move(by) {
  const place = state.place + by;
  const row = await list.rowAt(place).catch(() => null);
  if (!row) return;
  list.activate(place);
  await open({ row: row.row, place });
}

/** Back to the list. */
function close({ focus = true } = {}) {
  urlState.set({ sample: null });
  shut();
  if (focus) $("list").focus();
}

function shut() {
  state.openTicket += 1;
  state.sample = null;
  $("samples").classList.remove("opened");
  fill($("detail"), h("p", { class: "quiet" }, "Choose a sample: ↑ and ↓ move in the list, Enter opens."));
  state.place = null;
  list.mark(null);
}

/** The map of two axes, and two selects for every axis. */
function fillScores(about) {
  const [right, up] = drawn();
  $("cells").hidden = !about.axes.length;
  $("map").hidden = !right;
  $("cell").hidden = !right;
  if (right) {
    brush.lay(right, up ?? null);
    brush.fill(about.map);
  }
  axisPair.show(about.axes.map(([name]) => name), right?.[0], up?.[0]);
  const axes = JSON.stringify(about.axes);
  if (axes === state.axes) return;
  state.axes = axes;
  fill($("spans"), ...about.axes.flatMap((axis) => {
    const [name, low, high] = axis;
    const ends = ["from", "to"].map((end, i) => h("select", {
      "aria-label": `${name} ${end}`, dataset: { axis: name, end: i },
      onchange: () => {
        const pair = ends.map((one) => Number(one.value));
        if (pair[0] > pair[1]) pair[1 - i] = pair[i];
        change({ [SCORE + name]: written(pair, [low, high]) });
      },
    }, Array.from({ length: high - low + 1 }, (_, k) => h("option", { value: low + k }, low + k))));
    return [h("span", { class: "ellipsis", "aria-hidden": "true" }, name), ends[0], h("span", { "aria-hidden": "true" }, "–"), ends[1]];
  }));
}

function wire() {
  $("move-clear").addEventListener("click", () => change(cleared(moveNames())));
  for (const name of SELECTS) $(name).addEventListener("change", () => change({ [name]: $(name).value }));
  for (const name of NUMBERS) $(name).addEventListener("change", () => change({ [name]: $(name).value }));
  const typed = debounce(() => state.typing && change({}), 300);
  $("q").addEventListener("input", () => {
    state.typing = true;
    typed();
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("search-stop").addEventListener("click", () => {
    state.halt = !state.halt;
    showSearch();
    showCount();
    if (!state.halt) search(state.ticket);
  });
  $("clear").addEventListener("click", () => {
    change(cleared([...set(), ...moveNames()]));
    for (const name of ["q", ...NUMBERS]) $(name).value = "";
    $("q").focus();
  });
  $("sort").addEventListener("change", () => change({ sort: $("sort").value === "position" ? null : $("sort").value }));
  $("order").addEventListener("click", () => change({ order: urlState.get("order") === "desc" ? null : "desc" }));
  $("detail").addEventListener("keydown", (event) => { if (event.key === "Escape" && urlState.get("sample")) close(); });
  addEventListener("popstate", async () => {
    const sample = urlState.get("sample");
    if (!sample) shut();
    await refresh({ keep: true });
    if (sample) open({ sample }, { push: false, focus: false });
  });
  const fold = () => { $("filter-pane").open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
  brush.onpoint("");
}

wire();
await refresh();
if (urlState.get("sample") && state.about) open({ sample: urlState.get("sample") }, { push: false, focus: false });
