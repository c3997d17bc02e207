// A map on which samples lie near each other that say like things, coloured by subset, category or score.

import { api, fill, format, h, svg } from "./common.js";
import { pause } from "./samples-similar.js";

const place = document.getElementById("space");
const SIDE = 1000;
const COLOURS = 6;
let page = null;
let ticket = 0;
let by = "subset";

/** Wire the map to the page: `about()`, `query()` (the filters), `onopen(row)`. */
export function wireSpace(hooks) {
  page = hooks;
  place.addEventListener("toggle", () => drawSpace());
}

/** Read and draw the map anew, where it is open. */
export async function drawSpace() {
  const own = ++ticket;
  if (!place.open) return;
  const names = ["subset", "category", ...page.about().axes.map(([axis]) => `score.${axis}`)];
  if (by === "subset" && !page.about().looks.length) by = "category";
  let answer = null;
  while (own === ticket && !answer?.ended) {
    if (answer) await pause();
    answer = await api("/api/samples/space", { query: { ...page.query(), by }, quiet: true }).catch((error) => ({ ended: true, fault: error.message }));
    if (own !== ticket) return;
    if (!answer.ended) fill(place, place.firstElementChild, h("p", { class: "small", role: "status" }, `All samples are read once for this: ${format.share(answer.share, 1)}.`), h("progress", { max: 1, value: answer.share, "aria-label": "Samples that have been read" }));
  }
  if (answer.fault) {
    fill(place, place.firstElementChild, h("p", { class: "small" }, `There is no map: ${answer.fault}.`));
    return;
  }
  const choice = h("select", { onchange: () => { by = choice.value; drawSpace(); } }, names.map((name) => h("option", { value: name, selected: name === by }, name.replace("score.", "score: "))));
  const paint = by.startsWith("score.") ? byScore : by === "category" ? byCategory(answer.points) : bySubset();
  const some = answer.points.length < answer.of ? `; ${format.count(answer.points.length)} of them are drawn` : "";
  fill(place, place.firstElementChild, h("label", { class: "field" }, h("span", {}, "Coloured by"), choice),
    svg("svg", { viewBox: "-12 -12 1024 1024", role: "img", "aria-label": `${format.plural(answer.of, "sample")}, near each other where they say like things` },
      answer.points.map(([row, x, y, value]) => svg("circle", { cx: x, cy: SIDE - y, r: answer.points.length > 800 ? 7 : 11, class: paint.of(value), dataset: { row } }, svg("title", {}, `${value ?? "none"}`)))),
    paint.legend,
    h("p", { class: "small quiet" }, `Near means alike: the two directions in which what they say differs most${some}. Click a point to open its sample.`));
  place.querySelector("svg").addEventListener("click", (event) => {
    const row = event.target.closest("circle")?.dataset.row;
    if (row !== undefined) page.onopen(Number(row));
  });
}

const legend = (items) => h("p", { class: "small space-legend" }, items.map(([name, kind]) => h("span", {}, svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("circle", { cx: 5, cy: 5, r: 4.5, class: kind })), name)));

const byScore = {
  of: (value) => (value === null ? "none" : `look-measure q${value}`),
  legend: legend([["low", "look-measure q1"], ["high", "look-measure q10"]]),
};

function bySubset() {
  const looks = Object.fromEntries(page.about().looks.map((one) => [one.name, one.look]));
  return { of: (value) => looks[value] ?? "none", legend: legend(Object.entries(looks)) };
}

function byCategory(points) {
  const counts = new Map();
  for (const [, , , value] of points) counts.set(value, (counts.get(value) ?? 0) + 1);
  const largest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, COLOURS).map(([value]) => value);
  const rest = counts.size > largest.length;
  return {
    of: (value) => (largest.includes(value) ? `space-${largest.indexOf(value)}` : "none"),
    legend: legend([...largest.map((value, i) => [value, `space-${i}`]), ...(rest ? [["others", "none"]] : [])]),
  };
}
