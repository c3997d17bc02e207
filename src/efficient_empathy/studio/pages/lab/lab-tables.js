// The lab's tables: subsets against a baseline, flips, categories. Rows are made once and then only changed.

import { fill, format, h } from "./common.js";
import { POLICIES } from "./lab-cube.js";
import { letter } from "./lab-map.js";

const SHOWN = 40;

export const swatch = (subset) => h("span", { class: `swatch look-${subset} q7`, "aria-hidden": "true" }, letter(subset));

const points = (now, before) => {
  const change = 100 * (now - before);
  const told = Math.abs(change).toFixed(1);
  return told === "0.0" ? "±0.0" : `${change > 0 ? "+" : "−"}${told}`;
};

/** Segments of a bar, one a subset, whose lengths follow counts. */
export class Stack {
  constructor(host, named = false) {
    this.host = host;
    this.named = named;
  }

  draw(subsets, counts, total) {
    if (this.policy !== subsets.join()) {
      this.policy = subsets.join();
      this.parts = subsets.map((subset) => h("span", { class: `look-${subset} q7` }, this.named && h("b", {}, letter(subset))));
      fill(this.host, ...this.parts);
    }
    this.parts.forEach((part, k) => part.style.setProperty("flex-basis", `${total > 0 ? (100 * counts[k]) / total : 0}%`));
  }
}

/** Subsets with counts, shares, and what differs from the baseline's counts. */
export class SizeTable {
  constructor(body) {
    this.body = body;
  }

  draw(subsets, counts, before, { scored, unscored }) {
    const rows = [...subsets.map((subset, k) => [subset, counts[k], before[subset] ?? 0])];
    const kept = subsets.reduce((sum, subset, k) => sum + (subset === "discard" ? 0 : counts[k]), 0);
    const keptBefore = Object.entries(before).reduce((sum, [name, n]) => sum + (name === "discard" ? 0 : n), 0);
    const key = `${subsets} ${unscored > 0}`;
    if (this.key !== key) {
      this.key = key;
      this.rows = [...subsets, "kept", ...(unscored ? ["not scored"] : [])].map((name) => {
        const cells = Array.from({ length: 3 }, () => h("td", { class: "n" }));
        const shown = subsets.includes(name) ? [swatch(name), ` ${name}`] : name;
        return { cells, row: h("tr", { class: name === "kept" && "sum" }, h("th", { scope: "row" }, shown), cells) };
      });
      fill(this.body, ...this.rows.map(({ row }) => row));
    }
    const told = [...rows, ["kept", kept, keptBefore], ...(unscored ? [["not scored", unscored, unscored]] : [])];
    told.forEach(([, n, was], i) => {
      const of = i > subsets.length ? scored + unscored : scored;
      const texts = [format.count(n), format.share(n, of), `${format.signed(n - was)} (${points(n / (of || 1), was / (of || 1))})`];
      texts.forEach((text, k) => {
        const cell = this.rows[i].cells[k];
        const said = i > subsets.length && k === 2 ? "" : text;
        if (cell.textContent !== said) cell.textContent = said;
      });
    });
  }
}

/** What changes when a threshold moves by one; `address(cells)` is where these samples are. */
export function flipRows(flips, scored, address, expected) {
  const signs = { alpha: "α", beta: "β" };
  const value = (v) => `${v}`.replace("-", "−");
  return flips.map(({ threshold, from, to, count, moves }) => {
    const where = `${signs[threshold]} ${value(from)} → ${value(to)}`;
    const told = moves.map((move) => {
      const n = expected && move.n < 0.5 ? "<1" : format.count(move.n);
      return h("a", { class: "move", href: address(move.cells) }, `${n} `, swatch(move.from), ` ${move.from} → `, swatch(move.to), ` ${move.to}`);
    });
    const nothing = h("span", { class: "quiet" }, from === to ? "the threshold ends here" : "none");
    return h("tr", {}, h("th", { scope: "row" }, where), h("td", { class: "n" }, format.count(count)),
      h("td", { class: "n" }, format.share(count, scored)), h("td", {}, told.length ? told : nothing));
  });
}

/** Categories with bars, sorted; a category's button makes it the one that is shown. */
export class CategoryTable {
  constructor(host, chosen) {
    this.host = host;
    this.chosen = chosen;
    this.all = false;
  }

  /** Rows for these categories. */
  fill(names) {
    this.names = names;
    this.order = null;
    this.rows = names.map((name, place) => {
      const bar = h("div", { class: "stack" });
      const cells = ["n", "n", "n"].map((kind) => h("td", { class: kind }));
      const button = h("button", { type: "button", class: "plain name", onclick: () => this.chosen(place) }, name);
      const row = h("tr", {}, h("th", { scope: "row" }, button), cells[0], h("td", { class: "bar-cell", "aria-hidden": "true" }, bar), cells.slice(1));
      return { row, button, cells, stack: new Stack(bar) };
    });
    this.body = h("tbody");
    this.more = h("button", { type: "button", onclick: () => { this.all = true; this.sort(this.order); } });
    const head = ["Category", "Samples", "Subsets", "Kept", "Against the baseline"];
    const heads = head.map((text, i) => h("th", { scope: "col", class: [1, 3, 4].includes(i) && "n" }, text));
    const table = h("table", { class: "wide categories" }, h("thead", {}, h("tr", {}, heads)), this.body);
    fill(this.host, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Categories" }, table), h("p", { class: "actions" }, this.more));
  }

  draw(subsets, counts, before, beforeSubsets, totals, filter) {
    const kept = (found, names, place) => names.reduce((sum, name, k) => sum + (name === "discard" ? 0 : found[place * names.length + k]), 0);
    this.values = this.rows.map((row, place) => {
      const own = Array.from(subsets, (_, k) => counts[place * subsets.length + k]);
      const share = totals[place] ? kept(counts, subsets, place) / totals[place] : 0;
      const was = totals[place] ? kept(before, beforeSubsets, place) / totals[place] : 0;
      row.stack.draw(subsets, own, totals[place]);
      const parts = subsets.map((subset, k) => `${subset} ${format.share(own[k], totals[place])}`).join(", ");
      [format.count(totals[place]), format.share(share, totals[place] ? 1 : 0), points(share, was)].forEach((text, i) => {
        if (row.cells[i].textContent !== text) row.cells[i].textContent = text;
      });
      row.button.setAttribute("aria-pressed", place === filter);
      row.row.title = parts;
      const shares = Object.fromEntries(subsets.map((subset, k) => [subset, totals[place] ? own[k] / totals[place] : 0]));
      return { name: this.names[place], samples: totals[place], kept: share, change: share - was, ...shares };
    });
  }

  /** By name from a to z, by a number from the largest. */
  sort(key) {
    this.order = key;
    const places = this.rows.map((_, place) => place);
    const by = (place) => this.values[place][key] ?? this.values[place].samples;
    if (key !== "name") places.sort((a, b) => by(b) - by(a) || a - b);
    const shown = this.all ? places : places.slice(0, SHOWN);
    const rows = shown.map((place) => this.rows[place].row);
    if (rows.some((row, i) => this.body.children[i] !== row) || this.body.childElementCount !== rows.length) fill(this.body, ...rows);
    this.more.hidden = shown.length === places.length;
    this.more.textContent = `Show all ${format.count(places.length)}`;
  }
}

/** Counts by name of the subset. */
export const named = (policy, counts) => Object.fromEntries(POLICIES[policy].subsets.map((subset, k) => [subset, counts[k]]));
