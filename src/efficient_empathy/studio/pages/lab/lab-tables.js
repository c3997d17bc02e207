// The tables of the page: subsets against a baseline, flips, categories. Rows are made once and then only changed.

import { fill, format, h } from "./common.js";
import { written } from "./lab-curve.js";

const SHOWN = 40;
const NARROW = 0.06; // of a bar: too little for a letter

export const swatch = ({ look, mark, letter }) => h("span", { class: `swatch ${look} mark-${mark} q7`, "aria-hidden": "true" }, letter);

/** By how much a share has changed, in percentage points; empty where it has not. */
const points = (now, before) => {
  const change = 100 * (now - before);
  const size = Math.abs(change).toFixed(1);
  return size === "0.0" ? "" : `${change > 0 ? "+" : "−"}${size}`;
};

/** Segments of a bar, one a subset, whose lengths follow counts. */
export class Stack {
  constructor(host, withLetters = false) {
    this.host = host;
    this.withLetters = withLetters;
  }

  draw(subsets, counts, total) {
    if (this.subsets !== subsets) {
      this.subsets = subsets;
      this.parts = subsets.map(({ look, mark, letter }) => h("span", { class: `${look} mark-${mark} q7` }, this.withLetters && h("b", {}, letter)));
      fill(this.host, ...this.parts);
    }
    if (this.withLetters) this.parts.forEach((part, k) => { part.firstChild.hidden = counts[k] <= NARROW * total; });
    this.parts.forEach((part, k) => part.style.setProperty("flex-basis", `${total > 0 ? (100 * counts[k]) / total : 0}%`));
  }
}

/** A change in samples and in points. */
const changed = (n, share) => (n ? `${format.signed(n)}${share && ` (${share} points)`}` : "same");

/** Counts of one selection by name, and how many are kept: all that are not in `otherwise`. */
export function counted(subsets, counts, otherwise) {
  const by = Object.fromEntries(subsets.map(({ name }, k) => [name, counts[k]]));
  return { by, kept: subsets.reduce((sum, { name }, k) => sum + (name === otherwise ? 0 : counts[k]), 0) };
}

/** Subsets with counts, shares, and what differs from the baseline's counts. */
export class SizeTable {
  constructor(body) {
    this.body = body;
  }

  /** `now` and `before` are as of `counted`, `before` null where it is not known; `about` marks estimates. */
  draw(subsets, now, before, { scored, unscored }, about) {
    const key = `${subsets.map(({ name }) => name)} ${unscored > 0}`;
    if (this.key !== key) {
      this.key = key;
      const names = [...subsets.map((subset) => [swatch(subset), ` ${subset.name}`]), "kept", ...(unscored ? ["not scored"] : [])];
      this.rows = names.map((name) => {
        const cells = Array.from({ length: 3 }, () => h("td", { class: "n" }));
        return { cells, row: h("tr", { class: name === "kept" && "sum" }, h("th", { scope: "row" }, name), cells) };
      });
      fill(this.body, ...this.rows.map(({ row }) => row));
    }
    const rows = [...subsets.map(({ name }) => [now.by[name], before?.by[name] ?? 0]), [now.kept, before?.kept], ...(unscored ? [[unscored]] : [])];
    rows.forEach(([n, was], i) => {
      const of = i > subsets.length ? scored + unscored : scored;
      const change = i > subsets.length || !before ? "" : changed(n - was, points(n / (of || 1), was / (of || 1)));
      [`${about && i <= subsets.length ? "≈ " : ""}${format.count(n)}`, format.share(n, of), change].forEach((text, k) => {
        const cell = this.rows[i].cells[k];
        if (cell.textContent !== text) cell.textContent = text;
      });
    });
  }
}

/** What changes when a threshold moves by one; `address(flip, move)` is where these samples are. */
export function flipRows(flips, subsets, symbols, scored, address) {
  return flips.map((flip) => {
    const { threshold, value, to, count, moves } = flip;
    const links = moves.map((move) => h("a", { class: "move", href: address(flip, move) },
      `${format.count(move.n)} `, swatch(subsets[move.from]), ` ${subsets[move.from].name} → `, swatch(subsets[move.to]), ` ${subsets[move.to].name}`));
    const nothing = h("span", { class: "quiet" }, value === to ? "the threshold ends here" : "none");
    return h("tr", {}, h("th", { scope: "row" }, `${symbols[threshold]} ${written(value)} → ${written(to)}`),
      h("td", { class: "n" }, format.count(count)), h("td", { class: "n" }, format.share(count, scored)), h("td", {}, links.length ? links : nothing));
  });
}

/** Categories with bars, sorted; a category's button makes it the one that is shown. */
export class CategoryTable {
  constructor(host, onchoose) {
    this.host = host;
    this.onchoose = onchoose;
    this.all = false;
  }

  /** Rows for these categories. */
  fill(names) {
    this.names = names;
    this.order = null;
    this.rows = names.map((name, place) => {
      const bar = h("div", { class: "stack" });
      const cells = ["n", "n", "n"].map((kind) => h("td", { class: kind }));
      const button = h("button", { type: "button", class: "plain name", onclick: () => this.onchoose(place) }, name);
      const row = h("tr", {}, h("th", { scope: "row" }, button), cells[0], h("td", { class: "bar-cell", "aria-hidden": "true" }, bar), cells.slice(1));
      return { row, button, cells, stack: new Stack(bar) };
    });
    this.body = h("tbody");
    this.more = h("button", { type: "button", onclick: () => { this.all = true; this.sort(this.order); } });
    const head = ["Category", "Samples", "Subsets", "Kept", "Change, in points"];
    const heads = head.map((text, i) => h("th", { scope: "col", class: [1, 3, 4].includes(i) && "n" }, text));
    const table = h("table", { class: "wide categories" }, h("thead", {}, h("tr", {}, heads)), this.body);
    fill(this.host, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Categories" }, table), h("p", { class: "actions" }, this.more));
  }

  /** `now` is `{ subsets, otherwise, counts }` with counts by category, as of `PointCounts.byCategory`; so is `before`, or null. */
  draw(now, before, totals, filter, about) {
    const kept = ({ subsets, otherwise, counts }, place) =>
      subsets.reduce((sum, { name }, k) => sum + (name === otherwise ? 0 : counts[place * subsets.length + k]), 0);
    const { subsets, counts } = now;
    this.values = this.rows.map((row, place) => {
      const own = Array.from(subsets, (_, k) => counts[place * subsets.length + k]);
      const share = totals[place] ? kept(now, place) / totals[place] : 0;
      const was = before && totals[place] ? kept(before, place) / totals[place] : 0;
      row.stack.draw(subsets, own, totals[place]);
      const parts = subsets.map(({ name }, k) => `${name} ${about ? `about ${format.count(own[k])}` : format.count(own[k])} (${format.share(own[k], totals[place])})`);
      const shown = `${about ? "≈ " : ""}${format.share(share, totals[place] ? 1 : 0)}`;
      [format.count(totals[place]), shown, before ? points(share, was) || "same" : ""].forEach((text, i) => {
        if (row.cells[i].textContent !== text) row.cells[i].textContent = text;
      });
      row.button.setAttribute("aria-pressed", place === filter);
      row.row.title = parts.join(", ");
      const shares = subsets.map(({ name }, k) => [`share ${name}`, totals[place] ? own[k] / totals[place] : 0]);
      return { name: this.names[place], samples: totals[place], kept: share, change: share - was, ...Object.fromEntries(shares) };
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
