// The map of scores: one axis to the right, another upwards or none (a histogram); thresholds are lines that can be dragged.

import { AXES, capitalise, fill, format, h, svg } from "./common.js";

const STEPS = 10;
const OVER = 0.24; // how far past the scale a threshold beyond it is drawn, in cells
const NEAR = 14; // pixels from a line within which it is taken hold of
const KEYS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
const MOST_LETTERS = 3; // of subsets in one cell
const WIDEST = [60, 84]; // pixels of a cell: of a map, and of the bar of one axis

/** A count that fits into a cell: "", 812, 40,251 or, where it is narrow, 40k. */
export function brief(n, narrow = false) {
  if (n <= 0) return "";
  const whole = Math.round(n);
  if (whole < 1000) return `${whole}`;
  if (whole < 10_000 && !narrow) return format.count(whole);
  if (whole < 999_500) return `${(whole / 1e3).toFixed(whole < 9950 ? 1 : 0)}k`;
  return `${(whole / 1e6).toFixed(whole < 9.95e6 ? 1 : 0)}M`;
}

/** Set what has changed and leave the rest, which the browser would lay out anew. */
const setText = (element, text) => element.textContent === text || (element.textContent = text);
const setAttribute = (element, name, value) => element.getAttribute(name) === value || element.setAttribute(name, value);

/** What an axis means, said to who points at its name. */
const meaning = ({ name }) => AXES[name] && svg("title", {}, AXES[name]);

export class ScoreMap {
  /**
   * `describe(cell)` says what a cell holds; `onmove({ NAME: value }, settled)` hears of dragged thresholds and
   * `onchoose(cell)` of a cell that was clicked, or reached with the keys.
   */
  constructor(host, { describe, onmove = () => {}, onchoose = () => {} }) {
    Object.assign(this, { host, describe, onmove, onchoose, active: 0 });
    host.classList.add("map-place");
    this.tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
    new ResizeObserver(() => {
      const wide = Math.min(660, host.clientWidth);
      if (wide && this.plan && wide !== this.wide) this.build();
    }).observe(host);
  }

  /** Another pair of axes and other thresholds: `right` and `up` are axes (`up` null for one alone). */
  lay(right, up, thresholds) {
    const plan = JSON.stringify([right, up, thresholds.map(({ value, ...rest }) => rest)]);
    if (plan === this.plan) return;
    Object.assign(this, { plan, right, up, thresholds, state: null });
    this.columns = right.high - right.low + 1;
    this.rows = up ? up.high - up.low + 1 : 1;
    this.active = Math.floor(this.rows / 2) * this.columns + Math.floor(this.columns / 2);
    this.build();
  }

  build() {
    this.wide = Math.min(660, this.host.clientWidth || 600);
    const small = this.wide < 460;
    this.small = small;
    this.lines = this.thresholds.flatMap((one) => [
      ...(this.up && one.axes.includes(this.up.name) ? [{ ...one, upright: false }] : []),
      ...(one.axes.includes(this.right.name) ? [{ ...one, upright: true }] : []),
    ]);
    const knob = Math.max(0, ...this.lines.filter((line) => !line.upright).map((line) => this.knob(line.symbol) + 10));
    const bare = !this.lines.length; // no room for the ends of lines
    const edge = { left: this.up ? (small ? 36 : 56) : 14, right: bare ? 10 : this.up ? Math.max(small ? 38 : 58, knob) : 30, top: bare ? 8 : 34, bottom: 48 };
    const across = Math.max(4, Math.min(WIDEST[this.up ? 0 : 1], (this.wide - edge.left - edge.right) / this.columns));
    const high = this.up ? Math.max(4, Math.min(across * (small ? 0.9 : 0.98), 620 / this.rows)) : 190;
    Object.assign(this, { edge, across, high, end: edge.left + this.columns * across, bottom: edge.top + this.rows * high });
    const [full, tall] = [this.end + edge.right, this.bottom + edge.bottom];
    this.cells = Array.from({ length: this.rows * this.columns }, (_, cell) => this.cell(cell));
    this.texts = this.cells.map((_, cell) => this.text(cell));
    const rows = Array.from({ length: this.rows }, (_, i) => this.rows - 1 - i).map((row) =>
      svg("g", { role: "row" }, this.cells.slice(this.columns * row, this.columns * (row + 1))),
    );
    const where = this.up ? `${this.up.name} upwards, ${this.right.name} to the right` : this.right.name;
    this.boundary = svg("path", { class: "boundary" });
    this.former = svg("path", { class: "baseline-edge" });
    for (const line of this.lines) Object.assign(line, { path: svg("path", { class: "line" }), handle: this.handle(line) });
    this.svg = svg(
      "svg",
      { class: "map", viewBox: `0 0 ${full} ${tall}`, width: full, height: tall, role: "group", "aria-label": this.lines.length ? "Map of scores with the thresholds" : "Map of scores" },
      svg("g", { role: "grid", "aria-label": `Samples by score: ${where}` }, rows), this.former, this.boundary,
      this.lines.map((line) => line.path),
      svg("g", { class: "numbers", "aria-hidden": "true" }, this.texts),
      svg("g", { "aria-hidden": "true" }, this.axes()),
      this.lines.map((line) => line.handle),
    );
    this.listen();
    fill(this.host, this.svg, this.tip);
    const { state } = this;
    this.state = null; // every cell is new
    if (state) this.draw(state);
  }

  x(score) {
    return this.edge.left + (score - this.right.low + 0.5) * this.across;
  }

  y(score) {
    return this.bottom - (score - this.up.low + 0.5) * this.high;
  }

  /** The scores of a cell: to the right and, with two axes, upwards. */
  scores(cell) {
    const right = this.right.low + (cell % this.columns);
    return this.up ? [right, this.up.low + Math.floor(cell / this.columns)] : [right];
  }

  /** Left upper corner and size of a cell. */
  box(cell) {
    const [column, row] = [cell % this.columns, Math.floor(cell / this.columns)];
    return { x: this.edge.left + column * this.across, y: this.bottom - (row + 1) * this.high, width: this.across, height: this.high };
  }

  cell(cell) {
    return svg(
      "g",
      { role: "gridcell", tabindex: cell === this.active ? 0 : -1, "data-cell": cell },
      svg("rect", { class: "ground", ...this.box(cell) }),
      svg("rect", { class: "fill", ...this.box(cell) }),
      svg("rect", { class: "texture", ...this.box(cell) }),
    );
  }

  text(cell) {
    const { x, y, width, height } = this.box(cell);
    const mark = this.up && this.across >= 38 ? svg("text", { class: "letter", x: x + 3, y: y + 9 }) : null;
    return svg("g", {}, mark, svg("text", { class: "count", x: x + width / 2, y: this.up ? y + height / 2 + 4 : y + height - 6 }));
  }

  axes() {
    const every = (axis, pixels) => {
      const by = Math.ceil(16 / pixels);
      return Array.from({ length: axis.high - axis.low + 1 }, (_, i) => axis.low + i).filter((_, i) => i % by === 0);
    };
    const middle = (this.edge.top + this.bottom) / 2;
    return [
      every(this.right, this.across).map((v) => svg("text", { class: "tick middle", x: this.x(v), y: this.bottom + 16 }, v)),
      svg("text", { class: "title middle", x: (this.edge.left + this.end) / 2, y: this.bottom + 38 }, `${capitalise(this.right.name)} →`, meaning(this.right)),
      this.up && every(this.up, this.high).map((v) => svg("text", { class: "tick end", x: this.edge.left - 8, y: this.y(v) + 4 }, v)),
      this.up && svg("text", { class: "title middle", transform: `translate(${this.small ? 11 : 18} ${middle}) rotate(-90)` }, `${capitalise(this.up.name)} →`, meaning(this.up)),
    ];
  }

  /** How wide the end of a line is that says its threshold, in pixels. */
  knob(symbol) {
    return this.small ? 32 : Math.max(48, symbol.length * 7 + 34);
  }

  /** A threshold's line as a slider: all of it can be taken hold of, and its end can be focused. */
  handle({ name, symbol, axes, low, high, upright }) {
    const wide = this.knob(symbol);
    const half = upright ? { x: -wide / 2, y: 5 } : { x: this.end + 5, y: -11 };
    return svg(
      "g",
      {
        class: `handle ${upright ? "upright" : "level"}`, "data-threshold": name, role: "slider", tabindex: 0,
        "aria-orientation": upright ? "horizontal" : "vertical", "aria-label": `${symbol}, threshold of ${axes.join(" and ")}`,
        "aria-valuemin": low, "aria-valuemax": high, onkeydown: (event) => this.handleKey(event, name),
      },
      upright
        ? svg("rect", { class: "hit", x: -NEAR / 2, y: 6, width: NEAR, height: this.bottom - 6 })
        : svg("rect", { class: "hit", x: this.edge.left, y: -NEAR / 2, width: this.end - this.edge.left + 8, height: NEAR }),
      svg("rect", { class: "knob", ...half, width: wide, height: 22, rx: 11 }),
      svg("text", { class: "middle", x: half.x + wide / 2, y: upright ? 20 : 4 }),
    );
  }

  /**
   * `map` is as of `PointCounts.map`, `baseline` the subsets of another one's `rules` (null where nothing differs), `subsets` as the studio draws
   * them, `values` those of the thresholds, `steps` those of the sliders. `context` is what else `describe` depends on: cells
   * that hold the same as before in the same context are left as they are.
   */
  draw(state) {
    const former = this.state?.subsets === state.subsets && this.state.context === state.context ? this.state.map : null;
    this.state = state;
    const { map, baseline, subsets, values } = state;
    const largest = Math.max(...map.n, 1e-9);
    const wide = subsets.length;
    const same = (cell) => former.n[cell] === map.n[cell] && former.subset[cell] === map.subset[cell] &&
      subsets.every((_, k) => former.by[cell * wide + k] === map.by[cell * wide + k]);
    for (let cell = 0; cell < this.cells.length; cell++) {
      if (former?.largest === largest && same(cell)) continue;
      const n = map.n[cell];
      const subset = subsets[map.subset[cell]];
      const shade = n > 0 ? Math.min(STEPS, Math.ceil(Math.sqrt(n / largest) * STEPS)) : 0;
      const look = `${subset?.look ?? "look-neutral"} mark-${subset?.mark ?? "none"} q${this.up ? shade : 8}`;
      const text = this.texts[cell];
      setAttribute(this.cells[cell], "class", look);
      setAttribute(text, "class", this.up ? look : "plain");
      if (!this.up) this.raise(cell, n / largest, text.lastChild);
      setAttribute(this.cells[cell], "aria-label", this.describe(cell));
      if (text.childElementCount > 1) setText(text.firstChild, this.letters(map, cell));
      setText(text.lastChild, this.across >= 16 ? brief(n, this.small || this.across < 40) : "");
    }
    map.largest = largest;
    setAttribute(this.boundary, "d", this.up ? this.edges(map.rules) : "");
    setAttribute(this.former, "d", baseline ? this.edges(baseline) : "");
    for (const line of this.lines) this.place(line, values[line.name]);
    if (this.target !== undefined) this.showTip(this.target);
  }

  /** The letters of the subsets that a cell's samples are in, the largest first; that of its rules where it holds none. */
  letters({ by, subset }, cell) {
    const { subsets } = this.state;
    const parts = subsets.map(({ letter }, k) => [by[cell * subsets.length + k], letter]).filter(([n]) => n >= 0.5);
    if (!parts.length) return subsets[subset[cell]]?.letter ?? "";
    return parts.sort((a, b) => b[0] - a[0]).slice(0, MOST_LETTERS).map(([, letter]) => letter).join("");
  }

  /** A bar of one axis as tall as its share of the tallest. */
  raise(cell, share, text) {
    const { y, height } = this.box(cell);
    const tall = share * (height - 18);
    for (const part of [...this.cells[cell].children].slice(1)) {
      part.setAttribute("y", y + height - tall);
      part.setAttribute("height", tall);
    }
    text.setAttribute("y", y + height - tall - 4);
  }

  /** The edges between cells of different subsets. */
  edges(subset) {
    const corner = (column, row) => `${this.edge.left + column * this.across} ${this.bottom - row * this.high}`;
    const path = [];
    for (let cell = 0; cell < subset.length; cell++) {
      const [column, row] = [cell % this.columns, Math.floor(cell / this.columns)];
      if (column + 1 < this.columns && subset[cell + 1] !== subset[cell]) path.push(`M${corner(column + 1, row)}L${corner(column + 1, row + 1)}`);
      if (row + 1 < this.rows && subset[cell + this.columns] !== subset[cell]) path.push(`M${corner(column, row + 1)}L${corner(column + 1, row + 1)}`);
    }
    return path.join("");
  }

  place({ upright, path, handle, symbol }, value) {
    const axis = upright ? this.right : this.up;
    const at = Math.min(axis.high + 0.5 + OVER, Math.max(axis.low - 0.5 - OVER, value));
    const where = upright ? this.x(at) : this.y(at);
    const ends = upright ? [this.edge.top - 6, this.bottom + 4] : [this.edge.left - 4, this.end + 6];
    const gaps = this.numbersAt(upright, value);
    const stretches = [ends[0], ...gaps.flat(), ends[1]];
    const pieces = stretches.flatMap((from, i) => (i % 2 ? [] : [upright ? `M${where} ${from}V${stretches[i + 1]}` : `M${from} ${where}H${stretches[i + 1]}`]));
    path.setAttribute("d", pieces.join(""));
    handle.setAttribute("transform", upright ? `translate(${where} 0)` : `translate(0 ${where})`);
    handle.setAttribute("aria-valuenow", value);
    handle.lastChild.textContent = this.small ? value : `${symbol} ${value}`;
  }

  /** From where to where a line at that value would strike through the numbers of cells, in its direction. */
  numbersAt(upright, value) {
    const axis = upright ? this.right : this.up;
    const nearest = Math.round(value);
    if (nearest < axis.low || nearest > axis.high || Math.abs(value - nearest) > 0.3) return [];
    const count = upright ? this.rows : this.columns;
    const cells = Array.from({ length: count }, (_, i) => (upright ? (this.rows - 1 - i) * this.columns + nearest - axis.low : (nearest - axis.low) * this.columns + i));
    return cells.flatMap((cell) => {
      const text = this.texts[cell].lastChild;
      if (!text.textContent) return [];
      const [x, y] = ["x", "y"].map((name) => Number(text.getAttribute(name)));
      const half = text.textContent.length * 3.6 + 4;
      return [upright ? [y - 13, y + 4] : [x - half, x + half]];
    });
  }

  listen() {
    const cellOf = (event) => event.target.closest("[data-cell]");
    this.svg.addEventListener("pointerdown", (event) => this.take(event));
    this.svg.addEventListener("pointermove", (event) => (this.grip ? this.drag(event) : this.point(event)));
    for (const end of ["pointerup", "pointercancel"]) this.svg.addEventListener(end, () => this.release());
    this.svg.addEventListener("pointerleave", () => this.showTip());
    this.svg.addEventListener("click", (event) => {
      const cell = this.cellAt(event);
      if (cell !== undefined && !this.afterDrag && !event.target.closest(".handle")) this.focusCell(cell);
    });
    this.svg.addEventListener("focusin", (event) => {
      if (!cellOf(event)) return;
      this.onchoose(this.active);
      this.showTip(this.active);
    });
    this.svg.addEventListener("focusout", () => this.showTip());
    this.svg.addEventListener("keydown", (event) => cellOf(event) && this.cellKey(event));
  }

  /** Where a pointer is, in scores: to the right and upwards. */
  scoresAt(event) {
    const box = this.svg.getBoundingClientRect();
    const scale = this.svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const up = this.up ? (this.bottom - y) / this.high - 0.5 + this.up.low : (this.bottom - y) / this.high - 0.5;
    return [(x - this.edge.left) / this.across - 0.5 + this.right.low, up];
  }

  cellAt(event) {
    const [right, up] = this.scoresAt(event);
    const [column, row] = [Math.round(right - this.right.low), Math.round(up - (this.up?.low ?? 0))];
    return column >= 0 && row >= 0 && column < this.columns && row < this.rows ? this.columns * row + column : undefined;
  }

  take(event) {
    this.afterDrag = false;
    const handle = event.target.closest(".handle");
    if (!handle || event.button) return;
    const own = this.lines.find((line) => line.handle === handle);
    const [right, up] = this.scoresAt(event);
    const near = ({ name, upright }) => {
      const value = this.state.values[name];
      return upright ? Math.abs(right - value) * this.across < NEAR : Math.abs(up - value) * this.high < NEAR;
    };
    const crossing = near(own) && this.lines.find((line) => line.upright !== own.upright && line.name !== own.name && near(line));
    this.grip = crossing ? [own, crossing] : [own];
    this.svg.setPointerCapture(event.pointerId);
    this.showTip();
    handle.focus({ preventScroll: true });
    event.preventDefault();
  }

  drag(event) {
    this.afterDrag = true;
    const [right, up] = this.scoresAt(event);
    this.onmove(Object.fromEntries(this.grip.map((line) => [line.name, line.upright ? right : up])), false);
  }

  release() {
    if (this.grip) this.onmove({}, true);
    this.grip = null;
  }

  point(event) {
    const cell = this.cellAt(event);
    if (cell !== this.target) this.showTip(cell);
  }

  handleKey(event, name) {
    const { low, high } = this.thresholds.find((one) => one.name === name);
    const far = { PageUp: 2, PageDown: -2 }[event.key] ?? KEYS[event.key];
    const value = { Home: low, End: high }[event.key] ?? (far && this.state.values[name] + far * this.state.steps[name]);
    if (value === undefined) return;
    event.preventDefault();
    const change = { [name]: Math.min(high, Math.max(low, value)) };
    this.state = { ...this.state, values: { ...this.state.values, ...change } }; // the next key may come before the next frame
    this.onmove(change, true);
  }

  cellKey(event) {
    const [row, column] = [Math.floor(this.active / this.columns), this.active % this.columns];
    const to = {
      ArrowUp: [row + 1, column], ArrowDown: [row - 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 0], End: [row, this.columns - 1],
    }[event.key];
    if (event.key === "Escape") this.showTip();
    if (!to) return;
    event.preventDefault();
    const within = (value, count) => Math.min(count - 1, Math.max(0, value));
    this.focusCell(within(to[0], this.rows) * this.columns + within(to[1], this.columns));
  }

  focusCell(cell) {
    this.cells[this.active].setAttribute("tabindex", -1);
    this.active = cell;
    this.cells[cell].setAttribute("tabindex", 0);
    this.cells[cell].focus({ preventScroll: true });
    this.onchoose(cell);
    this.showTip(cell);
  }

  showTip(cell) {
    this.target = cell;
    this.tip.hidden = cell === undefined || !this.state;
    if (this.tip.hidden) return;
    this.tip.textContent = this.describe(cell);
    const scale = this.svg.getBoundingClientRect().width / this.svg.viewBox.baseVal.width;
    const { x, y, width } = this.box(cell);
    this.tip.style.setProperty("left", `${Math.min(Math.max((x + width / 2) * scale, 90), this.host.clientWidth - 90)}px`);
    this.tip.style.setProperty("top", `${y * scale}px`);
  }
}
