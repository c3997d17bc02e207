// The map of scores as a filter: cells are brushed with the pointer, or with Shift and the arrow keys.

import { fill, format, h } from "./common.js";

const STEPS = 10;
const MOVES = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

export class ScoreBrush {
  /** `onchoose(spans)` hears of a rectangle, [lowest, highest] by axis, or null; `onpoint(sentence)` of a cell. */
  constructor(host, { onchoose, onpoint }) {
    Object.assign(this, { host, onchoose, onpoint, counts: new Map(), anchor: null });
  }

  /** Draw the cells of two axes, [name, lowest, highest] each; `up` null for one axis alone. */
  lay(right, up) {
    const plan = JSON.stringify([right, up]);
    if (plan === this.plan) return;
    Object.assign(this, { plan, right, up, columns: right[2] - right[1] + 1, rows: up ? up[2] - up[1] + 1 : 1, anchor: null });
    this.cells = Array.from({ length: this.rows * this.columns }, (_, i) => {
      const [row, column] = this.at(i);
      return h("div", { role: "gridcell", class: "cell", tabindex: -1, dataset: { row, column } });
    });
    const descending = Array.from({ length: this.rows }, (_, i) => this.rows - 1 - i);
    const where = up ? `${up[0]} upwards, ${right[0]} to the right` : right[0];
    this.grid = h("div", {
      role: "grid", class: "score-grid", "aria-multiselectable": "true", style: { "--aspect": up ? this.columns / this.rows : this.columns / 2 },
      "aria-label": `Samples by score: ${where}. Arrow keys move, Shift extends, Enter chooses, Escape clears.`,
    }, descending.map((row) => h("div", { role: "row" }, this.cells.slice(row * this.columns, (row + 1) * this.columns))));
    const sparse = (value, low, count) => (count <= 16 || (value - low) % Math.ceil(count / 11) === 0 ? value : "");
    fill(this.host, h("div", { class: "score-map" },
      h("div", { class: "ticks up", "aria-hidden": "true" }, descending.map((row) => h("span", {}, up ? sparse(up[1] + row, up[1], this.rows) : ""))),
      this.grid,
      h("span", { class: "quiet small corner", "aria-hidden": "true" }, up ? "↑" : ""),
      h("div", { class: "ticks across", "aria-hidden": "true" }, Array.from({ length: this.columns }, (_, i) => h("span", {}, sparse(right[1] + i, right[1], this.columns)))),
    ));
    this.active = Math.floor(this.rows / 2) * this.columns + Math.floor(this.columns / 2);
    this.cells[this.active].tabIndex = 0;
    this.listen();
  }

  /** The scores of a cell: upwards (0 where there is one axis) and to the right. */
  at(i) {
    return [Math.floor(i / this.columns) + (this.up?.[1] ?? 0), (i % this.columns) + this.right[1]];
  }

  listen() {
    this.grid.addEventListener("keydown", (event) => this.handleKey(event));
    this.grid.addEventListener("focusin", (event) => this.handleFocus(event.target));
    this.grid.addEventListener("pointerdown", (event) => this.handleDown(event));
    this.grid.addEventListener("pointermove", (event) => this.handleMove(event));
    this.grid.addEventListener("pointerup", (event) => this.handleUp(event));
    this.grid.addEventListener("pointercancel", () => { this.drag = null; this.select(this.span); });
    this.grid.addEventListener("pointerleave", () => this.onpoint(""));
  }

  /** Counts by cell, [[right, up, n], …] as positions; [[right, n], …] of one axis. */
  fill(counts) {
    this.counts = new Map(counts.map((one) => [(this.up ? one[1] : 0) * this.columns + one[0], one.at(-1)]));
    const most = Math.max(1, ...this.counts.values());
    this.cells.forEach((cell, i) => {
      const n = this.counts.get(i) ?? 0;
      cell.className = `cell look-measure q${n ? Math.ceil(Math.sqrt(n / most) * STEPS) : 0}`;
      cell.setAttribute("aria-label", this.sentence(i));
    });
  }

  /** Show a rectangle as chosen, [lowest, highest] upwards and to the right, or none. */
  select(span) {
    this.span = span;
    const inside = (i) => {
      if (!span || i < 0 || i >= this.cells.length) return false;
      const [row, column] = this.at(i);
      return row >= span.up[0] && row <= span.up[1] && column >= span.right[0] && column <= span.right[1];
    };
    this.grid.classList.toggle("chosen", Boolean(span));
    this.cells.forEach((cell, i) => {
      const chosen = inside(i);
      const column = i % this.columns;
      cell.setAttribute("aria-selected", chosen);
      const next = { top: i + this.columns, bottom: i - this.columns, left: column ? i - 1 : -1, right: column + 1 < this.columns ? i + 1 : -1 };
      for (const [side, other] of Object.entries(next)) cell.toggleAttribute(`data-${side}`, chosen && !inside(other));
    });
  }

  sentence(i) {
    const [row, column] = this.at(i);
    return `${this.up ? `${this.up[0]} ${row}, ` : ""}${this.right[0]} ${column}: ${format.plural(this.counts.get(i) ?? 0, "sample")}`;
  }

  /** A cell has the focus: the one that Tab comes back to. */
  handleFocus(cell) {
    const i = this.cells.indexOf(cell);
    if (i < 0) return;
    this.cells[this.active].tabIndex = -1;
    this.active = i;
    cell.tabIndex = 0;
    this.onpoint(this.sentence(i));
  }

  handleKey(event) {
    const move = MOVES[event.key];
    if (move) {
      const within = (value, count) => Math.max(0, Math.min(count - 1, value));
      const row = within(Math.floor(this.active / this.columns) + move[0], this.rows);
      const column = within((this.active % this.columns) + move[1], this.columns);
      this.anchor = event.shiftKey ? this.anchor ?? this.active : null;
      this.cells[row * this.columns + column].focus();
      if (event.shiftKey) this.choose(this.between(this.anchor, this.active));
    } else if (event.key === "Enter" || event.key === " ") this.choose(this.between(this.anchor ?? this.active, this.active));
    else if (event.key === "Escape") this.choose(null);
    else return;
    event.preventDefault();
  }

  /** The cell under the pointer; the nearest one where it has left the map. */
  under(event) {
    const box = this.grid.getBoundingClientRect();
    const part = (at, from, size, count) => Math.max(0, Math.min(count - 1, Math.floor(((at - from) / size) * count)));
    const row = this.rows - 1 - part(event.clientY, box.top, box.height, this.rows);
    return row * this.columns + part(event.clientX, box.left, box.width, this.columns);
  }

  handleDown(event) {
    if (event.button) return;
    event.preventDefault();
    this.grid.setPointerCapture(event.pointerId);
    this.drag = this.under(event);
    this.cells[this.drag].focus();
    this.anchor = null;
    this.handleMove(event);
  }

  handleMove(event) {
    const at = this.under(event);
    this.onpoint(this.sentence(at));
    if (this.drag === null || this.drag === undefined) return;
    const shown = this.span;
    this.select(this.between(this.drag, at));
    this.span = shown;
  }

  handleUp(event) {
    if (this.drag === null || this.drag === undefined) return;
    const span = this.between(this.drag, this.under(event));
    this.drag = null;
    const single = span.up[0] === span.up[1] && span.right[0] === span.right[1];
    this.choose(single && JSON.stringify(span) === JSON.stringify(this.span) ? null : span); // a cell chosen alone is let go
  }

  choose(span) {
    this.onchoose(span && { ...(this.up && { [this.up[0]]: span.up }), [this.right[0]]: span.right });
  }

  /** The rectangle of two cells. */
  between(one, other) {
    const [a, b] = [this.at(one), this.at(other)];
    const sorted = (x, y) => [Math.min(x, y), Math.max(x, y)];
    return { up: sorted(a[0], b[0]), right: sorted(a[1], b[1]) };
  }
}
