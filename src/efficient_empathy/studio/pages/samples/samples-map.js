// The 11 × 11 map as a filter: a rectangle of cells is brushed with the pointer, or with Shift and the arrow keys.

import { fill, format, h } from "./common.js";

const SCALE = 11;
const STEPS = 10;
const MOVES = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

export class ScoreBrush {
  /** `chosen({ s, r })` hears of a rectangle, each [lowest, highest], or null; `pointed(sentence)` of a cell. */
  constructor(host, { chosen, pointed }) {
    Object.assign(this, { chosen, pointed, counts: new Map(), anchor: null });
    this.cells = Array.from({ length: SCALE * SCALE }, (_, i) =>
      h("div", { role: "gridcell", class: "cell", tabindex: -1, dataset: { s: Math.floor(i / SCALE), r: i % SCALE } }));
    const descending = Array.from({ length: SCALE }, (_, i) => SCALE - 1 - i);
    this.grid = h("div", {
      role: "grid", class: "score-grid", "aria-multiselectable": "true",
      "aria-label": "Samples by score: sensibility upwards, rationality to the right. Arrow keys move, Shift extends, Enter chooses, Escape clears.",
    }, descending.map((s) => h("div", { role: "row" }, this.cells.slice(s * SCALE, (s + 1) * SCALE))));
    fill(host, h("div", { class: "score-map" },
      h("div", { class: "ticks up", "aria-hidden": "true" }, descending.map((s) => h("span", {}, s))),
      this.grid,
      h("span", { class: "quiet small corner", "aria-hidden": "true" }, "S↑"),
      h("div", { class: "ticks across", "aria-hidden": "true" }, Array.from({ length: SCALE }, (_, r) => h("span", {}, r)), h("span", { class: "quiet" }, "R→")),
    ));
    this.active = 5 * SCALE + 5;
    this.cells[this.active].tabIndex = 0;
    this.grid.addEventListener("keydown", (event) => this.pressed(event));
    this.grid.addEventListener("focusin", (event) => this.reached(event.target));
    this.grid.addEventListener("pointerdown", (event) => this.grabbed(event));
    this.grid.addEventListener("pointermove", (event) => this.dragged(event));
    this.grid.addEventListener("pointerup", (event) => this.released(event));
    this.grid.addEventListener("pointercancel", () => { this.drag = null; this.select(this.span, this.listed); });
    this.grid.addEventListener("pointerleave", () => this.pointed(""));
  }

  /** Counts by cell, [[s, r, n], …]. */
  fill(counts) {
    this.counts = new Map(counts.map(([s, r, n]) => [s * SCALE + r, n]));
    const most = Math.max(1, ...this.counts.values());
    this.cells.forEach((cell, i) => {
      const n = this.counts.get(i) ?? 0;
      cell.className = `cell look-measure q${n ? Math.ceil(Math.sqrt(n / most) * STEPS) : 0}`;
      cell.setAttribute("aria-label", this.sentence(i));
    });
  }

  /** Show a rectangle as chosen, or single cells ([[s, r], …]), or none. */
  select(span, listed = []) {
    Object.assign(this, { span, listed });
    const single = new Set(listed.map(([s, r]) => s * SCALE + r));
    const within = (at, [low, high]) => at >= low && at <= high;
    const inside = (s, r) => within(s, [0, SCALE - 1]) && within(r, [0, SCALE - 1])
      && ((span && within(s, span.s) && within(r, span.r)) || single.has(s * SCALE + r));
    this.grid.classList.toggle("chosen", Boolean(span) || listed.length > 0);
    this.cells.forEach((cell, i) => {
      const [s, r] = [Math.floor(i / SCALE), i % SCALE];
      const chosen = Boolean(inside(s, r));
      cell.setAttribute("aria-selected", chosen);
      const edges = { top: [s + 1, r], bottom: [s - 1, r], left: [s, r - 1], right: [s, r + 1] };
      for (const [side, next] of Object.entries(edges)) cell.toggleAttribute(`data-${side}`, chosen && !inside(...next));
    });
  }

  sentence(i) {
    return `sensibility ${Math.floor(i / SCALE)}, rationality ${i % SCALE}: ${format.plural(this.counts.get(i) ?? 0, "sample")}`;
  }

  /** A cell has the focus: the one that Tab comes back to. */
  reached(cell) {
    const i = this.cells.indexOf(cell);
    if (i < 0) return;
    this.cells[this.active].tabIndex = -1;
    this.active = i;
    cell.tabIndex = 0;
    this.pointed(this.sentence(i));
  }

  pressed(event) {
    const move = MOVES[event.key];
    if (move) {
      const [s, r] = [Math.floor(this.active / SCALE), this.active % SCALE].map((v, k) => Math.max(0, Math.min(SCALE - 1, v + move[k])));
      this.anchor = event.shiftKey ? this.anchor ?? this.active : null;
      this.cells[s * SCALE + r].focus();
      if (event.shiftKey) this.chosen(between(this.anchor, this.active));
    } else if (event.key === "Enter" || event.key === " ") this.chosen(between(this.anchor ?? this.active, this.active));
    else if (event.key === "Escape") this.chosen(null);
    else return;
    event.preventDefault();
  }

  /** The cell under the pointer; the nearest one where it has left the map. */
  under(event) {
    const box = this.grid.getBoundingClientRect();
    const part = (at, from, size) => Math.max(0, Math.min(SCALE - 1, Math.floor(((at - from) / size) * SCALE)));
    return (SCALE - 1 - part(event.clientY, box.top, box.height)) * SCALE + part(event.clientX, box.left, box.width);
  }

  grabbed(event) {
    if (event.button) return;
    event.preventDefault();
    this.grid.setPointerCapture(event.pointerId);
    this.drag = this.under(event);
    this.cells[this.drag].focus();
    this.anchor = null;
    this.dragged(event);
  }

  dragged(event) {
    const at = this.under(event);
    this.pointed(this.sentence(at));
    if (this.drag === null || this.drag === undefined) return;
    const shown = this.span, listed = this.listed;
    this.select(between(this.drag, at));
    Object.assign(this, { span: shown, listed });
  }

  released(event) {
    if (this.drag === null || this.drag === undefined) return;
    const span = between(this.drag, this.under(event));
    this.drag = null;
    const again = this.span && JSON.stringify(span) === JSON.stringify(this.span) && span.s[0] === span.s[1] && span.r[0] === span.r[1];
    this.chosen(again ? null : span); // a cell that was chosen alone is let go
  }
}

function between(one, other) {
  const [s, r] = [[one, other].map((i) => Math.floor(i / SCALE)), [one, other].map((i) => i % SCALE)];
  const sorted = (pair) => pair.sort((a, b) => a - b);
  return { s: sorted(s), r: sorted(r) };
}
