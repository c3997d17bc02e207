// How much of each expert a token used: underlines, numbers, the heat map of tokens and layers, a reply's means.

import { announce, fill, format, h, svg } from "./common.js";

const CELL = [13, 12];
const percent = (x) => `${(100 * x).toFixed(1)}\u00a0%`;
const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** The two ends of the scale as `--one` and `--two` of the page, in the colours of the experts' subsets, `looks` by name. */
export function colours(experts, looks) {
  const probe = document.body.appendChild(h("i", { hidden: true }));
  ["--one", "--two"].forEach((name, i) => {
    probe.className = looks[experts[i]] ?? (i ? "look-neutral" : "look-other");
    document.documentElement.style.setProperty(name, getComputedStyle(probe).getPropertyValue("--fill"));
  });
  probe.remove();
}

/** Mean weight of the first expert over a token's layers. */
const leaning = (token) => mean(token.gates.map((row) => row[0]));

/** The widest leaning of a reply: its scale runs so far to both sides of an even share. */
function spread(tokens) {
  return Math.max(0.02, ...tokens.map((token) => Math.abs(leaning(token) - 0.5)), 0);
}

const mixed = (share, width) => {
  const t = Math.min(1, Math.max(0, 0.5 + (share - 0.5) / (2 * width)));
  return `color-mix(in oklab, var(--one) ${(100 * t).toFixed(1)}%, var(--two))`;
};

/** A token of a mixture's reply. */
export function tokenSpan(token) {
  return h("span", { class: "token", tabindex: "-1" }, token.text);
}

/** Colour all underlines of a reply on one scale. */
export function underline(spans, tokens) {
  const width = spread(tokens);
  spans.forEach((span, i) => {
    const share = leaning(tokens[i]);
    span.style.setProperty("text-decoration-color", mixed(share, width));
    span.classList.toggle("second", share < 0.5);
  });
}

/** Let arrows, hover and focus show a token's numbers in `place`. `line` holds the spans. */
export function numbers(line, spans, tokens, experts, place) {
  let at = 0;
  const show = (i, said) => {
    spans[at]?.classList.remove("current");
    at = i;
    spans[i].classList.add("current");
    spans.forEach((span, n) => { span.tabIndex = n === i ? 0 : -1; });
    fill(place, ...facts(tokens[i], experts, i));
    if (said) announce(place.firstChild.textContent);
  };
  const index = (target) => spans.indexOf(target);
  spans[0].tabIndex = 0;
  line.addEventListener("pointerover", (event) => { if (index(event.target) >= 0) show(index(event.target), false); });
  line.addEventListener("click", (event) => { if (index(event.target) >= 0) show(index(event.target), false); });
  line.addEventListener("focusin", (event) => { if (index(event.target) >= 0) show(index(event.target), true); });
  line.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: spans.length - 1 }[event.key];
    if (to === undefined || !spans[to]) return;
    event.preventDefault();
    spans[to].focus();
  });
}

function facts(token, experts, number) {
  const shares = experts.map((name, i) => `${name} ${percent(mean(token.gates.map((row) => row[i])))}`);
  const layers = token.gates.map((row, layer) => h("span", { title: `layer ${layer + 1}: ${experts.map((name, i) => `${name} ${percent(row[i])}`).join(", ")}` },
    h("i", { style: { "flex-basis": `${100 * row[0]}%` } }), h("i", {})));
  const each = token.gates.map((row, layer) => `${layer + 1}: ${percent(row[0])}`).join(" · ");
  return [
    h("p", {}, `Token ${number + 1}, “${token.text.trim() || token.text}”: ${shares.join(", ")}, mean of ${format.plural(token.gates.length, "layer")}.`),
    h("div", { class: "layers", "aria-hidden": "true" }, layers),
    h("p", { class: "quiet" }, `${experts[0]} by layer: ${each}`),
  ];
}

/** What a reply used on the whole: a bar, the shares, and how the underlines are to be read. */
export function summary(reply) {
  const { experts, tokens, mean: shares } = reply;
  const width = spread(tokens);
  const bar = h("div", { class: "chat-share", "aria-hidden": "true" }, shares.map((share, i) => h("i", {
    style: { "flex-basis": `${100 * share}%`, background: i ? "var(--two)" : "var(--one)" },
  })));
  return [
    bar,
    h("p", { class: "chat-legend" },
      experts.map((name, i) => h("span", {}, h("i", { class: `key ${i ? "second" : ""}`, style: { "border-color": i ? "var(--two)" : "var(--one)" } }), `${name} ${percent(shares[i])}`)),
      h("span", {}, `full colour at ±${(100 * width).toFixed(1)} points`)),
  ];
}

/** Tokens to the right, layers downwards, the first expert's weight as a colour; the numbers are titles of the cells. */
export function heatMap({ experts, tokens }) {
  const layers = tokens[0].gates.length;
  const [wide, high] = CELL;
  const words = tokens.map((token) => token.text.trim().slice(0, 12) || "␣");
  const [left, label] = [54, 8 + 6.2 * Math.max(...words.map((word) => word.length))];
  const width = Math.max(0.02, ...tokens.flatMap((token) => token.gates.map((row) => Math.abs(row[0] - 0.5))));
  const parts = [];
  for (let layer = 0; layer < layers; layer++) {
    if (layers <= 12 || layer % 4 === 0 || layer === layers - 1) {
      parts.push(svg("text", { class: "tick", x: 0, y: (layer + 1) * high - 2 }, `layer ${layer + 1}`));
    }
    tokens.forEach((token, i) => parts.push(svg("rect", {
      x: left + i * wide, y: layer * high, width: wide - 1, height: high - 1, style: { fill: mixed(token.gates[layer][0], width) },
    }, svg("title", {}, `“${token.text}”, layer ${layer + 1}: ${experts.map((name, n) => `${name} ${percent(token.gates[layer][n])}`).join(", ")}`))));
  }
  const bottom = layers * high + 4;
  words.forEach((word, i) => parts.push(svg("text", {
    class: "word", transform: `translate(${left + i * wide + 3} ${bottom}) rotate(90)`,
  }, word)));
  const about = `${experts[0]} by token and layer: ${format.plural(tokens.length, "token")}, ${format.plural(layers, "layer")}. The numbers of each token are in the reply, by arrow keys.`;
  const [w, hh] = [left + tokens.length * wide, bottom + label];
  return svg("svg", { role: "img", "aria-label": about, width: w, height: hh, viewBox: `0 0 ${w} ${hh}` }, parts);
}
