// How large every subset is along one threshold, the others as they are.

import { fill, format, h, svg } from "./common.js";

const EDGE = { left: 44, right: 26, top: 22, bottom: 40 };
const HIGH = 210;
const MARKS = {
  0: (x, y) => `M${x} ${y}m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z`,
  1: (x, y) => `M${x} ${y}m-2.9 -2.9h5.8v5.8h-5.8z`,
  2: (x, y) => `M${x} ${y}m-1.2 -3.8h2.4v2.6h2.6v2.4h-2.6v2.6h-2.4v-2.6h-2.6v-2.4h2.6z`,
  3: (x, y) => `M${x} ${y}m0 -4l4 4l-4 4l-4 -4z`,
  rest: (x, y) => `M${x} ${y}m0 -3.8l3.6 6.4h-7.2z`,
};
export const written = (value) => `${value}`.replace("-", "−");

export class SizeCurve {
  /** `onmove({ NAME: value })` hears where in the figure was clicked. */
  constructor(onmove) {
    this.wide = 520;
    this.caption = h("figcaption", { class: "small" });
    this.svg = svg("svg", { class: "curve", role: "img" });
    this.host = h("figure", {}, this.caption, this.svg);
    this.svg.addEventListener("click", (event) => {
      const { threshold } = this.frame;
      const box = this.svg.getBoundingClientRect();
      const at = (((event.clientX - box.left) / box.width) * this.wide - EDGE.left) / (this.wide - EDGE.left - EDGE.right);
      onmove({ [threshold.name]: threshold.low + at * (threshold.high - threshold.low) });
    });
    new ResizeObserver(() => {
      if (this.host.clientWidth && this.host.clientWidth !== this.wide) {
        this.wide = this.host.clientWidth;
        if (this.frame) this.draw(this.frame);
      }
    }).observe(this.host);
  }

  /**
   * `points` are as of `PointCounts.curve`, out of `total` samples; lines stand at the present `value` and at the baseline's
   * (`former`, or null). `others` are the other thresholds in words; `about` says how the sizes were estimated; empty where they are counted.
   */
  draw(frame) {
    this.frame = frame;
    const { threshold, points, total, subsets, others, about } = frame;
    const ground = JSON.stringify([threshold.symbol, threshold.low, threshold.high, threshold.of, points, total, others, about, this.wide]);
    if (ground !== this.ground || subsets !== this.subsets) {
      Object.assign(this, { ground, subsets });
      this.drawGround();
    }
    this.drawLines();
  }

  x(value) {
    const { low, high } = this.frame.threshold;
    return EDGE.left + ((value - low) / (high - low)) * (this.wide - EDGE.left - EDGE.right);
  }

  /** What moves with the slider: the lines, and what they say. */
  drawLines() {
    const { threshold, value, former } = this.frame;
    this.svg.setAttribute("aria-label", this.sentence());
    fill(this.lines,
      former !== null && former !== value && svg("path", { class: "baseline-edge", d: `M${this.x(former)} ${EDGE.top}V${HIGH - EDGE.bottom}` }),
      svg("path", { class: "line", d: `M${this.x(value)} ${EDGE.top - 4}V${HIGH - EDGE.bottom}` }),
      svg("text", { class: "middle now", x: this.x(value), y: EDGE.top - 9 }, `${threshold.symbol} ${written(value)}`));
  }

  drawGround() {
    const { threshold, points, total, subsets, others, about } = this.frame;
    const { symbol, low, high, of } = threshold;
    const bottom = HIGH - EDGE.bottom;
    const x = (v) => this.x(v);
    const y = (n) => bottom - (total > 0 ? n / total : 0) * (bottom - EDGE.top);
    this.caption.textContent = `Along ${symbol}${others ? `, at ${others}` : ""}${about ? `; about, ${about}` : ""}`;
    this.svg.setAttribute("viewBox", `0 0 ${this.wide} ${HIGH}`);
    this.svg.setAttribute("width", this.wide);
    this.svg.setAttribute("height", HIGH);
    this.lines = svg("g", {});
    const every = Math.max(1, Math.ceil((high - low) / 14));
    const whole = points.filter((point) => Number.isInteger(point.value));
    const parts = [
      ...[0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
        svg("path", { class: "grid", d: `M${EDGE.left} ${y(part * total)}H${this.wide - EDGE.right}` }),
        svg("text", { class: "tick end", x: EDGE.left - 7, y: y(part * total) + 4 }, `${100 * part}%`),
      ]),
      ...whole.filter((point) => (point.value - low) % every === 0).map((point) => svg("text", { class: "tick middle", x: x(point.value), y: bottom + 16 }, written(point.value))),
      svg("text", { class: "title middle", x: (EDGE.left + this.wide - EDGE.right) / 2, y: HIGH - 6 }, `${symbol}, threshold of ${of.join(" and ")}`),
      this.lines,
      ...subsets.map((subset, k) => {
        const at = points.map((point) => [x(point.value).toFixed(1), y(point.sizes[k]).toFixed(1)]);
        const marks = at.filter((_, i) => whole.length < 40 && Number.isInteger(points[i].value)).map(([a, b]) => MARKS[subset.mark](a, b));
        return svg("g", { class: `${subset.look} q9` },
          svg("path", { class: "series", d: `M${at.map((pair) => pair.join(" ")).join("L")}` }),
          svg("path", { class: "mark", d: marks.join("") }));
      }),
    ];
    const ends = points.at(-1).sizes.map((n, k) => [y(n) + 4, subsets[k].letter]).sort((a, b) => a[0] - b[0]);
    ends.reduceRight((below, end) => (end[0] = Math.min(end[0], below - 11)), bottom + 15);
    for (const [where, letter] of ends) parts.push(svg("text", { class: "ending", x: this.wide - EDGE.right + 8, y: where }, letter));
    fill(this.svg, ...parts);
  }

  sentence() {
    const { threshold, points, value, total, subsets } = this.frame;
    const now = points.find((point) => point.value === value) ?? points[0];
    const shares = subsets.map((subset, k) => `${subset.name} ${format.share(now.sizes[k], total)}`).join(", ");
    return `${this.caption.textContent}: share of every subset from ${written(threshold.low)} to ${written(threshold.high)}. At ${threshold.symbol} = ${written(now.value)}: ${shares}.`;
  }

  /** The same as a table. */
  table() {
    const { threshold, points, value, subsets, about } = this.frame;
    const head = h("tr", {}, h("th", { scope: "col" }, threshold.symbol), subsets.map((s) => h("th", { scope: "col", class: "n" }, s.name)));
    const rows = points.map((point) => {
      const sizes = point.sizes.map((n) => h("td", { class: "n" }, `${about && point.value !== value ? "≈ " : ""}${format.count(n)}`));
      return h("tr", { "aria-current": point.value === value }, h("th", { scope: "row" }, written(point.value)), sizes);
    });
    return h("table", {}, h("thead", {}, head), h("tbody", {}, rows));
  }
}
