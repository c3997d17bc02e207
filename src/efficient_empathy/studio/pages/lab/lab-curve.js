// How large every subset is along one threshold, the other as it is.

import { fill, format, h, svg } from "./common.js";
import { HIGHEST, LOWEST, POLICIES } from "./lab-cube.js";

const EDGE = { left: 44, right: 26, top: 22, bottom: 40 };
const HIGH = 210;
const MARKS = {
  sensibility: (x, y) => `M${x} ${y}m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z`,
  rationality: (x, y) => `M${x} ${y}m-2.9 -2.9h5.8v5.8h-5.8z`,
  discard: (x, y) => `M${x} ${y}m0 -3.8l3.6 6.4h-7.2z`,
  both: (x, y) => `M${x} ${y}m-1.2 -3.8h2.4v2.6h2.6v2.4h-2.6v2.6h-2.4v-2.6h-2.6v-2.4h2.6z`,
};
const SIGNS = { alpha: ["α", "sensibility"], beta: ["β", "rationality"] };

export class SizeCurve {
  /** `threshold` is alpha or beta; `moved` hears where in the figure was clicked. */
  constructor(host, threshold, moved) {
    this.host = host;
    this.threshold = threshold;
    this.wide = 520;
    this.caption = h("figcaption", { class: "small" });
    this.svg = svg("svg", { class: "curve", role: "img" });
    fill(host, this.caption, this.svg);
    this.svg.addEventListener("click", (event) => {
      const box = this.svg.getBoundingClientRect();
      const at = (((event.clientX - box.left) / box.width) * this.wide - EDGE.left) / (this.wide - EDGE.left - EDGE.right);
      moved({ [threshold]: LOWEST + at * (HIGHEST - LOWEST) });
    });
    new ResizeObserver(() => {
      if (host.clientWidth && host.clientWidth !== this.wide) {
        this.wide = host.clientWidth;
        if (this.drawn) this.draw(...this.drawn);
      }
    }).observe(host);
  }

  /** `points` as of `Cube.curve`, out of `total` samples; lines at the present value and at the baseline's. */
  draw(points, choice, baseline, total) {
    this.drawn = [points, choice, baseline, total];
    const bottom = HIGH - EDGE.bottom;
    const x = (v) => EDGE.left + ((v - LOWEST) / (HIGHEST - LOWEST)) * (this.wide - EDGE.left - EDGE.right);
    const y = (n) => bottom - (total > 0 ? n / total : 0) * (bottom - EDGE.top);
    const [sign, axis] = SIGNS[this.threshold];
    const other = this.threshold === "alpha" ? ["β", choice.beta] : ["α", choice.alpha];
    const { subsets } = POLICIES[choice.policy];
    const value = choice[this.threshold];
    this.caption.textContent = `Along ${sign}, at ${other[0]} = ${other[1]}`;
    this.svg.setAttribute("viewBox", `0 0 ${this.wide} ${HIGH}`);
    this.svg.setAttribute("width", this.wide);
    this.svg.setAttribute("height", HIGH);
    this.svg.setAttribute("aria-label", this.about(points, value, subsets, total, sign));
    const whole = points.filter((point) => Number.isInteger(point.value));
    const parts = [
      ...[0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
        svg("path", { class: "grid", d: `M${EDGE.left} ${y(part * total)}H${this.wide - EDGE.right}` }),
        svg("text", { class: "tick end", x: EDGE.left - 7, y: y(part * total) + 4 }, `${100 * part}%`),
      ]),
      ...whole.map((point) => svg("text", { class: "tick middle", x: x(point.value), y: bottom + 16 }, signed(point.value))),
      svg("text", { class: "title middle", x: (EDGE.left + this.wide - EDGE.right) / 2, y: HIGH - 6 }, `${sign}, threshold of ${axis}`),
      baseline && svg("path", { class: "baseline-edge", d: `M${x(baseline[this.threshold])} ${EDGE.top}V${bottom}` }),
      svg("path", { class: "line", d: `M${x(value)} ${EDGE.top - 4}V${bottom}` }),
      svg("text", { class: "middle now", x: x(value), y: EDGE.top - 9 }, `${sign} ${signed(value)}`),
      ...subsets.map((subset, k) => {
        const at = points.map((point) => [x(point.value).toFixed(1), y(point.sizes[k]).toFixed(1)]);
        const marks = at.filter((_, i) => Number.isInteger(points[i].value)).map(([a, b]) => MARKS[subset](a, b));
        return svg("g", { class: `look-${subset} q9` },
          svg("path", { class: "series", d: `M${at.map((pair) => pair.join(" ")).join("L")}` }),
          svg("path", { class: "mark", d: marks.join("") }));
      }),
    ];
    const ends = points.at(-1).sizes.map((n, k) => [y(n) + 4, subsets[k]]).sort((a, b) => a[0] - b[0]);
    ends.reduceRight((below, end) => (end[0] = Math.min(end[0], below - 11)), bottom + 15);
    for (const [where, subset] of ends) parts.push(svg("text", { class: "ending", x: this.wide - EDGE.right + 8, y: where }, subset[0].toUpperCase()));
    fill(this.svg, ...parts.filter(Boolean));
  }

  about(points, value, subsets, total, sign) {
    const now = points.find((point) => point.value === value) ?? points[0];
    const told = subsets.map((subset, k) => `${subset} ${format.share(now.sizes[k], total)}`).join(", ");
    return `${this.caption.textContent}: share of every subset from ${signed(LOWEST)} to ${HIGHEST}. At ${sign} = ${signed(now.value)}: ${told}.`;
  }

  /** The same as a table. */
  static table(points, threshold, choice) {
    const { subsets } = POLICIES[choice.policy];
    const head = h("tr", {}, h("th", { scope: "col" }, SIGNS[threshold][0]), subsets.map((s) => h("th", { scope: "col", class: "n" }, s)));
    const rows = points.map((point) => {
      const sizes = point.sizes.map((n) => h("td", { class: "n" }, format.count(n)));
      return h("tr", { "aria-current": point.value === choice[threshold] }, h("th", { scope: "row" }, signed(point.value)), sizes);
    });
    return h("table", {}, h("thead", {}, head), h("tbody", {}, rows));
  }
}

const signed = (value) => `${value}`.replace("-", "−");
