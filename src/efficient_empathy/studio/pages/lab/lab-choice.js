// What is chosen: the policy, its thresholds, what it decides on. As a query, in words, as a command and as a recipe.

import { api } from "./common.js";
import { PointCounts } from "./lab-counts.js";
import { written } from "./lab-curve.js";

export const query = ({ policy, thresholds, decide }) => ({
  policy, decide: decide === "auto" ? null : decide,
  ...Object.fromEntries(Object.entries(thresholds).map(([name, value]) => [`t.${name}`, value])),
});

export const same = (a, b) => JSON.stringify(query(a)) === JSON.stringify(query(b));

/** For example "paper, α 5, β 6". `symbols` are by name. */
export const inWords = ({ policy, thresholds }, symbols = {}) =>
  [policy.replace(/^run:/, ""), ...Object.entries(thresholds).map(([name, value]) => `${symbols[name] ?? name} ${written(value)}`)].join(", ");

/** A choice on one line, for the address: policy and thresholds. */
export const packed = ({ policy, thresholds }) => [policy, ...Object.entries(thresholds).map(([name, value]) => `${name}=${value}`)].join(",");

/** The choice on such a line among `policies`, null where there is none. */
export function unpacked(line, policies, decide) {
  const [policy, ...pairs] = (line ?? "").split(",");
  const thresholds = Object.fromEntries(pairs.map((pair) => [pair.split("=")[0], Number.parseFloat(pair.split("=")[1])]));
  const names = Object.keys(policies[policy]?.thresholds ?? {});
  const fits = policies[policy] && names.length === pairs.length && names.every((name) => Number.isFinite(thresholds[name]));
  return fits ? { policy, thresholds, decide } : null;
}

/** Ask the studio for the points of a choice; `before` is the counts whose samples may stand in the same points. */
export async function loadCounts(choice, before, signal) {
  const view = await api("/api/lab/view", { query: { ...query(choice), have: before?.key }, signal });
  const present = new PointCounts(view, before);
  present.choice = choice;
  return present;
}

/** Ask for what `select` would write. */
export async function loadSelection(present, signal) {
  if (present.complete) return;
  const { assignment } = await api("/api/lab/selection", { query: query(present.choice), signal });
  present.assignment = assignment;
}

/** Ask for what flips at one step: the differences of two selections. */
export async function loadFlips(present, signal) {
  if (present.flipDetails) return;
  const { flips } = await api("/api/lab/flips", { query: query(present.choice), signal });
  present.flipDetails = flips;
}

const name = (policy) => (policy.file ? `${policy.name.replace(/[^\w.-]+/g, "-")}.yaml` : policy.name);

/** `efficient-empathy select …` for a choice; `start` is how the run's command begins, the rest as the last selection had it. */
export function command(start, policy, choice, { seed, synthetic_share }) {
  const options = [`--policy ${name(policy)}`, ...Object.entries(choice.thresholds).map(([key, value]) => `--threshold ${key}=${value}`)];
  if (choice.decide !== "auto") options.push(`--decide ${choice.decide}`);
  if (synthetic_share !== null) options.push(`--synthetic-share ${synthetic_share}`);
  if (seed) options.push(`--seed ${seed}`);
  return [start, ...options].join(" ");
}

/** A recipe that `efficient-empathy run` takes: `start` is YAML of all but the selection. */
export function recipe(start, policy, choice, { seed, synthetic_share }, comment) {
  const lines = [`policy: ${name(policy)}`];
  const values = Object.entries(choice.thresholds).map(([key, value]) => `${key}: ${value}`);
  if (values.length) lines.push(`thresholds: {${values.join(", ")}}`);
  if (choice.decide !== "auto") lines.push(`decide: ${choice.decide}`);
  if (synthetic_share !== null) lines.push(`synthetic_share: ${synthetic_share}`);
  if (seed) lines.push(`seed: ${seed}`);
  return `# ${comment}\n${start}select:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

/** Hand a text to the user as a file. */
export function download(file, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** The page of the samples in one cell of the map: `scores` by axis. */
export function cellAddress(run, scores, category) {
  const pairs = Object.entries(scores).map(([axis, score]) => [`score.${axis}`, `${score}-${score}`]);
  return `/samples?${new URLSearchParams({ run, ...(category && { category }), ...Object.fromEntries(pairs) })}`;
}

/** The page of the samples that go from one subset to another when a threshold moves. */
export function moveAddress(run, choice, flip, [from, to], category) {
  const { decide, ...rest } = query(choice);
  const move = { move: `${flip.threshold}=${flip.to}`, from, to };
  return `/samples?${new URLSearchParams({ run, ...(category && { category }), ...rest, ...(decide && { decide }), ...move })}`;
}
