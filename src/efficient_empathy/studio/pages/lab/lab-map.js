// The map of 11 × 11 scores: rationality to the right, sensibility upwards; thresholds are lines that can be dragged.

import { fill, h, svg } from "./common.js";
import { HIGHEST, LOWEST, POLICIES, SCALE, clampThreshold, wholeCells } from "./lab-cube.js";

const STEPS = 10;
const OVER = 0.24; // how far past the scale a threshold beyond it is drawn, in cells
const NEAR = 14; // pixels from a line within which it is taken hold of
const KEYS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };

export const letter = (subset) => subset[0].toUpperCase();

/** A count that fits into a cell: "", "<1", 812, 40,251 or, where it is narrow, 40k. */
export function brief(n, narrow = false) {
  if (n <= 0) return "";
  if (n < 0.5) return "<1";
  const whole = Math.round(n);
  if (whole < (narrow ? 1000 : 10_000)) return whole.toLocaleString("en");
  if (whole < 999_500) return `${(whole / 1e3).toFixed(whole < 9950 ? 1 : 0)}k`;
  return `${(whole / 1e6).toFixed(whole < 9.95e6 ? 1 : 0)}M`;
}

/** The edges between cells of different subsets. `corner(s, r)` is a cell's left lower corner. */
function edges(places, corner) {
  const path = [];
  for (let s = 0; s < SCALE; s++) {
    for (let r = 0; r < SCALE; r++) {
      const here = places[SCALE * s + r];
      const [right, up] = [corner(s, r + 1), corner(s + 1, r)];
      const across = corner(s + 1, r + 1);
      if (r + 1 < SCALE && places[SCALE * s + r + 1] !== here) path.push(`M${right}L${across}`);
      if (s + 1 < SCALE && places[SCALE * (s + 1) + r] !== here) path.push(`M${up}L${across}`);
    }
  }
  return path.join("");
}

export class ScoreMap {
  /**
   * `describe(cell)` says what a cell holds; `moved({ alpha, beta }, settled)` hears of dragged thresholds and
   * `chosen(cell)` of a cell that was clicked, or reached with the keys.
   */
  constructor(host, { describe, moved, chosen }) {
    Object.assign(this, { host, describe, moved, chosen, counts: new Float64Array(SCALE * SCALE), active: 5 * SCALE + 5 });
    this.tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
    this.build(host.clientWidth || 600);
    new ResizeObserver(() => {
      const wide = Math.min(660, host.clientWidth);
      if (wide && wide !== this.wide) this.build(wide);
    }).observe(host);
  }

  /** Other counts: of another run or category. */
  fill(counts) {
    this.counts = counts;
    this.shown = null;
    if (this.state) this.draw(this.state);
  }

  build(wide) {
    this.wide = wide;
    const small = wide < 460;
    this.small = small;
    const edge = { left: small ? 36 : 56, right: small ? 38 : 58, top: 34, bottom: 48 };
    const across = Math.floor((wide - edge.left - edge.right) / SCALE);
    const up = Math.round(across * (small ? 0.9 : 0.98));
    Object.assign(this, { edge, across, up, right: edge.left + SCALE * across, bottom: edge.top + SCALE * up });
    const [high, full] = [this.bottom + edge.bottom, this.right + edge.right];
    this.cells = Array.from({ length: SCALE * SCALE }, (_, cell) => this.cell(cell));
    this.texts = this.cells.map((_, cell) => this.text(cell));
    const rows = Array.from({ length: SCALE }, (_, i) => SCALE - 1 - i).map((s) =>
      svg("g", { role: "row" }, this.cells.slice(SCALE * s, SCALE * (s + 1))),
    );
    this.lines = { alpha: svg("path", { class: "line" }), beta: svg("path", { class: "line" }) };
    this.boundary = svg("path", { class: "boundary" });
    this.former = svg("path", { class: "baseline-edge" });
    this.handles = { alpha: this.handle("alpha"), beta: this.handle("beta") };
    const grid = svg("g", { role: "grid", "aria-label": "Samples by score: sensibility upwards, rationality to the right" }, rows);
    this.svg = svg(
      "svg",
      { class: "map", viewBox: `0 0 ${full} ${high}`, width: full, height: high, role: "group", "aria-label": "Map of scores with both thresholds" },
      grid, this.former, this.boundary, this.lines.alpha, this.lines.beta,
      svg("g", { class: "numbers", "aria-hidden": "true" }, this.texts),
      svg("g", { "aria-hidden": "true" }, this.axes()),
      this.handles.alpha, this.handles.beta,
    );
    this.listen();
    fill(this.host, this.svg, this.tip);
    this.shown = null;
    if (this.state) this.draw(this.state);
  }

  x(r) {
    return this.edge.left + (r + 0.5) * this.across;
  }

  y(s) {
    return this.bottom - (s + 0.5) * this.up;
  }

  cell(cell) {
    const [s, r] = [Math.floor(cell / SCALE), cell % SCALE];
    const box = { x: this.x(r) - this.across / 2, y: this.y(s) - this.up / 2, width: this.across, height: this.up };
    return svg(
      "g",
      { role: "gridcell", tabindex: cell === this.active ? 0 : -1, "data-cell": cell },
      svg("rect", { class: "fill", ...box }),
      svg("rect", { class: "texture", ...box }),
    );
  }

  text(cell) {
    const [x, y] = [this.x(cell % SCALE), this.y(Math.floor(cell / SCALE))];
    const mark = this.across >= 38
      ? svg("text", { class: "letter", x: x - this.across / 2 + 3, y: y - this.up / 2 + 9 })
      : null;
    return svg("g", {}, mark, svg("text", { class: "count", x, y: y + 4 }));
  }

  axes() {
    const every = Array.from({ length: SCALE }, (_, v) => v);
    const middle = (this.edge.top + this.bottom) / 2;
    return [
      every.map((v) => svg("text", { class: "tick middle", x: this.x(v), y: this.bottom + 16 }, v)),
      every.map((v) => svg("text", { class: "tick end", x: this.edge.left - 8, y: this.y(v) + 4 }, v)),
      svg("text", { class: "title middle", x: (this.edge.left + this.right) / 2, y: this.bottom + 38 }, "Rationality →"),
      svg("text", { class: "title middle", transform: `translate(${this.small ? 11 : 18} ${middle}) rotate(-90)` }, "Sensibility →"),
    ];
  }

  /** A threshold's line as a slider: all of it can be taken hold of, and its end can be focused. */
  handle(name) {
    const upright = name === "beta";
    const [wide, high] = [this.small ? 32 : 48, 22];
    return svg(
      "g",
      {
        class: `handle ${name}`, role: "slider", tabindex: 0, "aria-orientation": upright ? "horizontal" : "vertical",
        "aria-label": upright ? "β, threshold of rationality" : "α, threshold of sensibility",
        "aria-valuemin": LOWEST, "aria-valuemax": HIGHEST, onkeydown: (event) => this.handleKey(event, name),
      },
      upright
        ? svg("rect", { class: "hit", x: -NEAR / 2, y: 6, width: NEAR, height: this.bottom - 6 })
        : svg("rect", { class: "hit", x: this.edge.left, y: -NEAR / 2, width: this.right - this.edge.left + 8, height: NEAR }),
      svg("rect", { class: "knob", x: upright ? -wide / 2 : this.right + 5, y: upright ? 5 : -high / 2, width: wide, height: high, rx: 11 }),
      svg("text", { class: "middle", x: upright ? 0 : this.right + 5 + wide / 2, y: upright ? 20 : 4 }),
    );
  }

  /** The subsets and lines at `choice`; the edges of the `baseline` where they differ. */
  draw(state) {
    this.state = state;
    const { choice, baseline } = state;
    const places = wholeCells(choice);
    const { subsets } = POLICIES[choice.policy];
    const largest = Math.max(...this.counts, 1e-9);
    const anew = !this.shown || this.policy !== choice.policy;
    for (let cell = 0; cell < places.length; cell++) {
      if (!anew && this.shown[cell] === places[cell]) continue;
      const n = this.counts[cell];
      const subset = subsets[places[cell]];
      const look = `look-${subset} q${n > 0 ? Math.min(STEPS, Math.ceil(Math.sqrt(n / largest) * STEPS)) : 0}`;
      this.cells[cell].setAttribute("class", look);
      this.cells[cell].setAttribute("aria-label", this.describe(cell));
      this.texts[cell].setAttribute("class", look);
      const [mark, count] = this.texts[cell].childElementCount > 1 ? this.texts[cell].children : [null, this.texts[cell].lastChild];
      if (mark) mark.textContent = letter(subset);
      if (anew) count.textContent = brief(n, this.small);
    }
    const corner = (s, r) => `${this.edge.left + r * this.across} ${this.bottom - s * this.up}`;
    this.boundary.setAttribute("d", edges(places, corner));
    this.former.setAttribute("d", baseline ? edges(wholeCells(baseline), corner) : "");
    this.shown = places;
    this.policy = choice.policy;
    this.place("alpha", choice.alpha);
    this.place("beta", choice.beta);
    if (this.pointed !== undefined) this.showTip(this.pointed);
  }

  place(name, value) {
    const at = Math.min(SCALE - 0.5 + OVER, Math.max(-0.5 - OVER, value));
    const upright = name === "beta";
    const where = upright ? this.x(at) : this.y(at);
    const path = upright ? `M${where} ${this.edge.top - 6}V${this.bottom + 4}` : `M${this.edge.left - 4} ${where}H${this.right + 6}`;
    this.lines[name].setAttribute("d", path);
    const handle = this.handles[name];
    handle.setAttribute("transform", upright ? `translate(${where} 0)` : `translate(0 ${where})`);
    handle.setAttribute("aria-valuenow", value);
    handle.lastChild.textContent = this.small ? value : `${upright ? "β" : "α"} ${value}`;
  }

  listen() {
    const cellOf = (event) => event.target.closest("[data-cell]");
    this.svg.addEventListener("pointerdown", (event) => this.take(event));
    this.svg.addEventListener("pointermove", (event) => (this.held ? this.drag(event) : this.point(event)));
    for (const end of ["pointerup", "pointercancel"]) this.svg.addEventListener(end, () => this.release());
    this.svg.addEventListener("pointerleave", () => this.showTip());
    this.svg.addEventListener("click", (event) => {
      const cell = this.cellAt(event);
      if (cell !== undefined && !this.dragged && !event.target.closest(".handle")) this.focusCell(cell);
    });
    this.svg.addEventListener("focusin", (event) => {
      if (!cellOf(event)) return;
      this.chosen(this.active);
      this.showTip(this.active);
    });
    this.svg.addEventListener("focusout", () => this.showTip());
    this.svg.addEventListener("keydown", (event) => cellOf(event) && this.cellKey(event));
  }

  /** Where a pointer is, in scores. */
  scoresAt(event) {
    const box = this.svg.getBoundingClientRect();
    const scale = this.svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    return { s: (this.bottom - y) / this.up - 0.5, r: (x - this.edge.left) / this.across - 0.5 };
  }

  cellAt(event) {
    const { s, r } = this.scoresAt(event);
    const [row, column] = [Math.round(s), Math.round(r)];
    return Math.min(row, column) >= 0 && Math.max(row, column) < SCALE ? SCALE * row + column : undefined;
  }

  take(event) {
    this.dragged = false;
    const handle = event.target.closest(".handle");
    if (!handle || event.button) return;
    const { s, r } = this.scoresAt(event);
    const { alpha, beta } = this.state.choice;
    const both = Math.abs(s - alpha) * this.up < NEAR && Math.abs(r - beta) * this.across < NEAR;
    this.held = { alpha: both || handle === this.handles.alpha, beta: both || handle === this.handles.beta };
    this.svg.setPointerCapture(event.pointerId);
    this.showTip();
    handle.focus({ preventScroll: true });
    event.preventDefault();
  }

  drag(event) {
    this.dragged = true;
    const { s, r } = this.scoresAt(event);
    const step = this.state.step;
    const snap = (value) => clampThreshold(Math.round(value / step) * step);
    this.moved({ ...(this.held.alpha && { alpha: snap(s) }), ...(this.held.beta && { beta: snap(r) }) }, false);
  }

  release() {
    if (this.held) this.moved({}, true);
    this.held = null;
  }

  point(event) {
    const cell = this.cellAt(event);
    if (cell !== this.pointed) this.showTip(cell);
  }

  handleKey(event, name) {
    const { choice, step } = this.state;
    const far = { PageUp: 2, PageDown: -2 }[event.key] ?? KEYS[event.key];
    const value = { Home: LOWEST, End: HIGHEST }[event.key] ?? (far && choice[name] + far * step);
    if (value === undefined) return;
    event.preventDefault();
    const moved = { [name]: clampThreshold(value) };
    this.state = { ...this.state, choice: { ...choice, ...moved } }; // the next key may come before the next frame
    this.moved(moved, true);
  }

  cellKey(event) {
    const [s, r] = [Math.floor(this.active / SCALE), this.active % SCALE];
    const to = { ArrowUp: [s + 1, r], ArrowDown: [s - 1, r], ArrowLeft: [s, r - 1], ArrowRight: [s, r + 1], Home: [s, 0], End: [s, SCALE - 1] };
    const found = to[event.key];
    if (event.key === "Escape") this.showTip();
    if (!found) return;
    event.preventDefault();
    const [row, column] = found.map((v) => Math.min(SCALE - 1, Math.max(0, v)));
    this.focusCell(SCALE * row + column);
  }

  focusCell(cell) {
    this.cells[this.active].setAttribute("tabindex", -1);
    this.active = cell;
    this.cells[cell].setAttribute("tabindex", 0);
    this.cells[cell].focus({ preventScroll: true });
    this.chosen(cell);
    this.showTip(cell);
  }

  showTip(cell) {
    this.pointed = cell;
    this.tip.hidden = cell === undefined;
    if (cell === undefined) return;
    this.tip.textContent = this.describe(cell);
    const scale = this.svg.getBoundingClientRect().width / this.svg.viewBox.baseVal.width;
    const x = this.x(cell % SCALE) * scale;
    const y = (this.y(Math.floor(cell / SCALE)) - this.up / 2) * scale;
    this.tip.style.setProperty("left", `${Math.min(Math.max(x, 90), this.host.clientWidth - 90)}px`);
    this.tip.style.setProperty("top", `${y}px`);
  }
}
