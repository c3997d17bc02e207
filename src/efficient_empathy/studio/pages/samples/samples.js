// The page of samples: what is asked for is in the address, everything shown follows from it.

import { AxisPair } from "./axis-pair.js";
import { AXES, RUN, add, announce, api, debounce, fill, format, h, showProblem, urlState } from "./common.js";
import { showAll, wireAll } from "./samples-all.js";
import { detail, score, subsetSwatch, useLooks } from "./samples-detail.js";
import { VirtualList } from "./samples-list.js";
import { ScoreBrush } from "./samples-map.js";
import { openForm, peopleMarks, peopleNote, peopleSection, wirePeople } from "./samples-people.js";
import { likeButton, pause, showLike } from "./samples-similar.js";
import { drawSpace, wireSpace } from "./samples-space.js";
import { beginning, highlight, marked } from "./samples-text.js";

const SELECTS = ["subset", "category", "state", "split", "answered_by", "corrected_by", "tags"];
const NUMBERS = ["apart", "p"];
const MOVE = ["move", "policy", "decide", "from", "to"];
const SCORE = "score.";
const FAILURES = ["parse_error", "api_error", "refused"];
const ANY = { subset: "Any subset", category: "Any category", state: "Any state", split: "Any split", answered_by: "Any judge", corrected_by: "Corrected or not", tags: "With tags or without" };
const SOME = { corrected_by: "corrected by anybody", tags: "with any tag" };
const $ = (id) => document.getElementById(id);
const HINT = $("detail-empty").textContent;
const narrow = matchMedia("(max-width: 900px)");
const state = { about: null, version: null, sample: null, place: null, halt: false, typing: false, ticket: 0, openTicket: 0 };

const list = new VirtualList($("list"), {
  async fetchRows(offset, limit, signal) {
    const answer = await ask("rows", { offset, limit }, signal);
    return answer.rows;
  },
  draw: (row) => [
    h("span", { class: "row-head" },
      row.subset && subsetSwatch(row.subset),
      row.subset && h("span", { class: "unseen" }, `${row.subset},`),
      rowScores(row), peopleMarks(row), h("span", { class: "quiet ellipsis" }, h("bdi", {}, marked(row.category ?? "")))),
    h("span", { class: "row-last quiet", dir: "auto" }, marked(row.last ?? "")),
    h("span", { class: "row-response", dir: "auto" }, marked(row.response || " "), row.length > 240 ? "…" : ""),
  ],
  onopen: (place, row) => (row.row === state.sample?.row ? $("detail-title").focus() : open({ row: row.row, place })),
  onstep: () => state.sample && follow(),
});
/** With a sample open, the one that the keys have come to is opened in its place. */
const follow = debounce(async () => {
  const place = list.active;
  const row = state.sample && (await list.rowAt(place).catch(() => null));
  if (row && place === list.active) open({ row: row.row, place }, { focus: false });
}, 60);
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
const set = () => address().map(([name]) => name).filter((name) => ["q", "move", "like", ...SELECTS, ...NUMBERS].includes(name) || name.startsWith(SCORE));
const cleared = (names) => Object.fromEntries(names.map((name) => [name, null]));
const moveNames = () => [...MOVE, ...address().map(([name]) => name).filter((name) => name.startsWith("t."))];

function rowScores(row) {
  if (row.state !== "ok") return h("span", { class: "bad-state" }, row.state.replace("_", " "));
  return h("span", { class: "row-scores" }, Object.entries(row.scores).map(([axis, x]) => [
    h("span", { class: "quiet", title: axis }, `${state.about?.letters[axis] ?? axis} `), x === null ? "–" : score(x), " "]));
}

/** Ask the studio under the filters of the address; files that have changed since are read anew. */
async function ask(what, query = {}, signal = undefined, quiet = false) {
  const answer = await api(`/api/samples/${what}`, { query: { ...Object.fromEntries(address()), ...query }, signal, quiet });
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
  state.halt = false;
  $("samples").hidden = false;
  $("about").textContent = `All ${format.plural(about.samples, "sample")} of ${RUN}: what was said, the response that was scored, and why it is in its subset.`;
  fill($("notes"), peopleNote(about), standing(about.standing));
  show(about, keep);
  await search(ticket);
  while (ticket === state.ticket && state.about.like && !state.about.like.ended) {
    await pause();
    if (ticket === state.ticket) await askAgain(ticket);
  }
  if (ticket !== state.ticket) return;
  $("list").setAttribute("aria-busy", "false");
  if (state.sample) await placeShown(ticket);
}

/** What is missing of the run, and where to do something about it. */
const standing = (one) => one && h("div", { class: "notice" },
  h("p", {}, h("strong", {}, one.title), `. ${one.sentence} `, h("a", { href: `/${one.page}?${new URLSearchParams({ run: RUN })}` }, one.action)),
  h("details", { class: "small" }, h("summary", {}, "Details"), h("p", {}, `${one.details}.`)));

/** Look again how far the studio has come. */
async function askAgain(ticket) {
  const about = await ask("view", {}, state.control.signal).catch(() => null);
  if (ticket === state.ticket && about) show(about, true);
  else state.about.like = null;
}

/** Let the page say what the studio has counted. */
function show(about, keep) {
  state.about = about;
  useLooks(about.looks);
  fillFilters(about);
  showFilters();
  showSearch();
  showAll(about);
  drawSpace();
  showCount(); // first: a list that is hidden has no height to be laid out in
  list.reset(about.matching, { keep });
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
  let drawn = Date.now();
  while (ticket === state.ticket && !state.halt && state.about.search && !state.about.search.ended) {
    let about;
    try {
      about = await ask("view", {}, state.control.signal);
    } catch (error) {
      if (error.name !== "AbortError") { state.halt = true; showSearch(); }
      return;
    }
    if (ticket !== state.ticket) return;
    if (about.search?.ended || Date.now() - drawn > 1000) {
      drawn = Date.now();
      if (about.matching !== list.count) show(about, true);
    }
    state.about = about;
    showSearch();
    showCount();
  }
  if (ticket !== state.ticket || !state.about.search) return;
  show(state.about, true);
  announce(`${$("count").textContent}. ${$("search-status").textContent}`);
}

function showSearch() {
  const { search } = state.about ?? {};
  $("search").hidden = !urlState.get("q");
  if (!search) return;
  Object.assign($("search-bar"), { max: Math.max(1, search.of), value: search.searched });
  $("search-bar").hidden = search.ended;
  $("search-status").textContent = `Searched ${format.count(search.searched)} of ${format.count(search.of)}${search.ended ? "." : state.halt ? "; stopped." : " …"}`;
  $("search-stop").hidden = search.ended;
  $("search-stop").textContent = state.halt ? "Go on" : "Stop";
}

function showCount() {
  const { matching: n, samples: all, search } = state.about;
  $("count").textContent = n === all ? format.plural(n, "sample") : `${format.count(n)} of ${format.plural(all, "sample")}`;
  const settled = !search || search.ended || state.halt;
  $("list").hidden = n === 0;
  $("none").hidden = n > 0;
  $("none").firstElementChild.textContent = all === 0 ? "The run has no samples." : settled ? "No sample passes these filters." : "Searching …";
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
    const label = (value) => (value === "*" ? SOME[name] : value === "failed" ? "any failure" : name === "state" ? value.replace("_", " ") : value);
    fill($(name), h("option", { value: "" }, ANY[name]),
      ...values.map(([value, n]) => h("option", { value }, `${beginning(label(value), 60)} (${format.count(n)})`)));
    $(name).closest("label").hidden = !about.offered.includes(name) && !chosen; // the same under all filters: nothing jumps
  }
  fillScores(about);
  showLike(about.like, { onopen: () => open({ sample: urlState.get("like") }), onclear: () => change({ like: null }) });
  $("move").hidden = !about.move;
  $("move").firstElementChild.textContent = about.move ? `Samples that ${about.move}.` : "";
  $("apart").closest("label").hidden = !about.pooled;
  $("p").closest("label").hidden = !about.certain;
  fill($("sort"), ...about.orders.map((name) => h("option", { value: name }, `By ${name === "position" && about.like ? "likeness" : name.replace(SCORE, "")}`)));
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
  $("order").value = urlState.get("order", "asc");
  const count = set().length;
  $("filters-set").textContent = count ? `${count} set` : "";
  $("clear").disabled = !count;
  $("search").hidden = !urlState.get("q");
}

/** Open a sample, by its row or by its id; `place` is where it is in the list, where that is known. */
async function open({ row, sample, place = null }, { push = true, focus = true, quiet = false } = {}) {
  const ticket = ++state.openTicket;
  let answer;
  try {
    answer = await ask("one", sample ? { sample } : { row }, undefined, quiet);
  } catch (error) {
    if (error.name !== "AbortError" && !quiet && ticket === state.openTicket) failed(error);
    return;
  }
  if (ticket !== state.openTicket) return;
  state.place = place ?? answer.place;
  urlState.set({ sample: answer.sample_id }, { push: push && !urlState.get("sample") });
  if (state.place !== null && place === null) list.centre(state.place);
  list.mark(state.place);
  showDetail(answer, focus && narrow.matches); // beside the list, the keys go on in it
  announce($("detail-title").textContent);
}

function showDetail(sample, focus) {
  const { activeElement } = document;
  const inside = $("detail").contains(activeElement);
  state.sample = sample;
  fill($("detail"), detailHead(), ...detail(sample, [...peopleSection(sample), h("p", {}, likeButton(sample, (like) => change({ like, sort: null, order: null })))]));
  $("detail").scrollTop = 0;
  $("samples").classList.add("opened");
  if (narrow.matches) scrollTo(0, 0);
  const step = inside && document.querySelector(`#detail [data-step="${activeElement.dataset.step}"]:enabled`);
  if (focus || inside) (step || $("detail-title")).focus({ preventScroll: true });
}

function detailHead() {
  const at = state.place;
  const step = (by, name) => h("button", { type: "button", dataset: { step: by }, disabled: at === null || at + by < 0 || at + by >= list.count, onclick: () => move(by) }, name);
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
  if (focus) $("list").focus({ preventScroll: true });
}

function shut() {
  const { place } = state;
  state.openTicket += 1;
  state.sample = null;
  $("samples").classList.remove("opened");
  fill($("detail"), h("p", { class: "quiet" }, HINT));
  state.place = null;
  list.mark(null);
  if (place !== null && narrow.matches) list.centre(place);
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
    return [h("span", { class: "ellipsis axis-name", "aria-hidden": "true", title: AXES[name] }, name), ends[0], h("span", { "aria-hidden": "true" }, "–"), ends[1]];
  }));
}

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };

/** The keys that are good for something wherever one is, but for fields that need them themselves. */
function handleKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || !state.about) return;
  if (event.target.matches("input, textarea, select, [contenteditable]") || event.target.closest("dialog, [role=gridcell]")) return;
  if (event.key === "Escape" && state.sample) close();
  else if (event.key === "/") {
    if (narrow.matches && state.sample) close({ focus: false });
    $("filter-pane").open = true;
    $("q").select();
  } else if (event.key === "c" && state.sample) openForm(state.sample);
  else if (STEPS[event.key] && list.count) list.step(list.active + STEPS[event.key]);
  else return;
  event.preventDefault();
}

/** Somebody has corrected samples, here: the list is read anew, and the sample that is open too. */
async function corrected(answer, keepProblem = false) {
  const problem = $("problem").textContent;
  state.version = answer.version;
  await refresh({ keep: true });
  if (state.sample) await open({ sample: state.sample.sample_id, place: state.place }, { push: false, focus: false });
  if (keepProblem) showProblem(problem);
}

function wire() {
  wirePeople({ about: () => state.about, query: () => Object.fromEntries(address()), onchange: corrected });
  wireSpace({ about: () => state.about, query: () => Object.fromEntries(address()), onopen: (row) => open({ row }) });
  wireAll({
    about: () => state.about, query: () => Object.fromEntries(address()),
    onfilter: (query) => {
      $("q").value = query.get("q") ?? "";
      change({ ...cleared([...set(), ...moveNames(), "sort", "order"]), ...Object.fromEntries(query) });
    },
  });
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
  $("order").addEventListener("change", () => change({ order: $("order").value === "asc" ? null : "desc" }));
  document.addEventListener("keydown", handleKey);
  addEventListener("popstate", async () => {
    const sample = urlState.get("sample");
    if (!sample) shut();
    await refresh({ keep: true });
    if (sample) open({ sample }, { push: false, focus: false });
  });
  const summary = $("filter-pane").firstElementChild;
  const fold = () => {
    $("filter-pane").open = !narrow.matches;
    if (narrow.matches) summary.removeAttribute("tabindex"); // beside the list it is no button: nothing would be left
    else summary.tabIndex = -1;
  };
  narrow.addEventListener("change", fold);
  fold();
  brush.onpoint("");
}

history.scrollRestoration = "manual"; // panes scroll, each to what the address says
wire();
await refresh();
if (urlState.get("sample") && state.about) open({ sample: urlState.get("sample") }, { push: false, focus: false, quiet: true }); // the page says of itself which there is not
