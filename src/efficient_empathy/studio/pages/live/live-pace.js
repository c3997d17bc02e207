// Sparklines: how many samples a second, and how many dollars so far, over the last sitting.

import { fill, format, svg } from "./common.js";

const [WIDTH, HEIGHT] = [120, 22];

/** Draw values as a line into a host; nothing where there are fewer than three. `words` says it to those who listen. */
function draw(host, values, words) {
  if (values.length < 3) return fill(host);
  const most = Math.max(...values);
  const point = (value, i) => `${((i / (values.length - 1)) * WIDTH).toFixed(1)},${(HEIGHT - 1 - (most ? value / most : 0) * (HEIGHT - 2)).toFixed(1)}`;
  return fill(host, svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "sparkline", role: "img", "aria-label": words, preserveAspectRatio: "none" },
    svg("polyline", { points: values.map(point).join(" ") })));
}

/** The pace of a report into the figures of rate and cost. The last step is left out: it is not over. */
export function drawPace({ step_s: seconds, counts, cost_usd: costs }) {
  const whole = counts.length > 3 ? -1 : undefined;
  const rates = counts.slice(0, whole).map((n) => n / seconds);
  let spent = 0;
  const dollars = costs.slice(0, whole).map((cost) => (spent += cost));
  const over = format.duration(rates.length * seconds);
  const range = rates.length ? `${format.decimal(Math.min(...rates), 1)} to ${format.decimal(Math.max(...rates), 1)}` : "";
  draw(document.getElementById("rate-line"), rates, `${range} samples a second over ${over}`);
  draw(document.getElementById("cost-line"), spent > 0 ? dollars : [], `${format.dollars(spent)} over ${over}`);
}
