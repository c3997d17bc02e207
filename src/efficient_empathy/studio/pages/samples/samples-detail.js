// One sample: the dialogue, the scores with their distributions, why it is in its subset, and every judgement.

import { RUN, add, api, axisName, fill, format, h, svg } from "./common.js";
import { clippable, marked } from "./samples-text.js";

const TONES = { ok: "good", parse_error: "bad", api_error: "bad", refused: "bad", unjudged: "warm" };

const MATCHED = "shares matched"; // what select says where probabilities decided over all samples together
const MATCHED_WORDS = "P is how probable the judge finds each subset. Each gets as many samples as all probabilities together say, those that fit it best, so a sample need not be in its most probable one.";

/** The tag of a state, in words. */
export function stateTag(state) {
  return h("span", { class: `tag ${TONES[state] ?? "warm"}` }, state.replace("_", " "));
}

/** The tag of a subset: its letter on its colour, then its name. */
export function subsetTag(subset) {
  return h("span", { class: "subset-tag" }, subsetSwatch(subset), ` ${subset}`);
}

let looks = {};

/** Take over how the studio draws the run's subsets. */
export function useLooks(drawn) {
  looks = Object.fromEntries(drawn.map((one) => [one.name, one]));
}

/** A subset's letter on its colour. */
export function subsetSwatch(subset) {
  const { look = "look-other", letter = "–" } = looks[subset] ?? {};
  return h("span", { class: `swatch ${look}`, "aria-hidden": "true" }, letter);
}

export const score = (x) => (Number.isInteger(x) ? `${x}` : format.decimal(x, 2));

/** All of a sample as elements, `people` after its scores; its `axes` are [name, lowest, highest]. */
export function detail(sample, people) {
  return [
    facts(sample),
    h("h3", {}, "Dialogue"),
    dialogue(sample),
    h("h3", {}, "Scores"),
    ...scores(sample),
    ...people,
    h("h3", {}, "Judgements", sample.rounds.total ? h("span", { class: "quiet small" }, ` ${judgementsSummary(sample.rounds)}`) : ""),
    judgements(sample),
    links(sample),
  ];
}

function facts(sample) {
  const tags = [
    sample.category && h("span", { class: "tag" }, h("bdi", {}, marked(sample.category))),
    sample.split && h("span", { class: "tag" }, h("bdi", {}, marked(sample.split))),
    stateTag(sample.state),
    sample.subset && subsetTag(sample.subset),
  ];
  return h("p", { class: "tags" }, tags.filter(Boolean));
}

function dialogue(sample) {
  const list = h("ol", { class: "chat" });
  const { context } = sample;
  add(list, ...context.turns.map((turn, i) => turnItem(sample, turn, context.first + i)));
  add(list, h("li", { class: "listener judged" },
    h("span", { class: "who" }, "listener · the response that is scored"),
    clippable(sample.response, { row: sample.row, part: "response" })));
  if (!context.first) return list;
  let first = context.first;
  const button = h("button", {
    type: "button",
    onclick: async () => {
      button.disabled = true;
      const earlier = await api("/api/samples/turns", { query: { row: sample.row, end: first } }).catch(() => null);
      button.disabled = false;
      if (!earlier) return;
      fill(list, earlier.turns.map((turn, i) => turnItem(sample, turn, earlier.first + i)), ...list.childNodes);
      first = earlier.first;
      button.textContent = earlierTold(first);
      button.hidden = !first;
    },
  }, earlierTold(first));
  return h("div", {}, h("p", {}, button), list);
}

const earlierTold = (n) => `Show earlier turns (${format.count(n)} more)`;

function turnItem(sample, turn, at) {
  return h("li", { class: turn.role === "listener" ? "listener" : "speaker" },
    h("span", { class: "who" }, turn.role), clippable(turn, { row: sample.row, part: `turn-${at}` }));
}

function scores(sample) {
  const { axes } = sample;
  const parts = [];
  if (axes.some(([axis]) => sample.scores[axis] !== null)) {
    parts.push(h("div", { class: "axes" }, axes.map(([axis, low, high]) => axisFigure(sample, axis, low, high))));
  } else parts.push(h("p", { class: "quiet" }, sample.state === "ok" ? "No scores." : `No scores: ${sample.state === "unjudged" ? "not judged" : sample.state.replace("_", " ")}.`));
  const facts = [];
  if (sample.subset) facts.push(["Subset", subsetTag(sample.subset)]);
  if (sample.reason) facts.push(["Because", [sample.reason, sample.reason.endsWith(MATCHED) && h("span", { class: "quiet small said" }, MATCHED_WORDS)]]);
  const odds = Object.entries(sample.odds ?? {}).sort((a, b) => b[1] - a[1]);
  if (odds.length && !sample.reason?.startsWith("P(")) facts.push(["Probability", odds.map(([subset, p]) => `${subset} ${format.decimal(p, 2)}`).join(" · ")]);
  if (sample.judgements) facts.push(["Pooled from", format.plural(sample.judgements, "judgement")]);
  if (sample.disagreement !== undefined) facts.push(["Judges apart by", score(sample.disagreement)]);
  if (sample.answered_by) facts.push(["Answered by", sample.answered_by]);
  if (facts.length) parts.push(h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  return parts;
}

function axisFigure(sample, axis, low, high) {
  const value = sample.scores[axis];
  const table = sample.probabilities?.[axis];
  const spread = sample.spreads?.[axis];
  return h("figure", { class: "axis-figure" },
    h("figcaption", {}, axisName(axis, axis, "quiet"), " ", h("strong", {}, value === null ? "–" : score(value)),
      h("span", { class: "quiet small" }, ` of ${score(high)}`, spread === undefined ? "" : ` ± ${format.decimal(spread, 2)}`, sample.said.scores[axis] === undefined ? "" : " · set by a person")),
    bars(axis, value, low, high, table));
}

/** A bar a whole score: the judge's distribution, or the one score that it gave. */
export function bars(axis, value, low, high, table) {
  const levels = table?.length ?? Math.round(high - low) + 1;
  if (value === null || levels > 101) return "";
  const [wide, high_, foot] = [18, 44, 14];
  const of = (i) => (table ? table[i] : Math.round(value - low) === i ? 1 : 0);
  const most = Math.max(...Array.from({ length: levels }, (_, i) => of(i)), 1e-9);
  const best = Array.from({ length: levels }, (_, i) => i).reduce((a, b) => (of(b) > of(a) ? b : a), 0);
  const about = table ? `${axis}: most probable ${low + best}, with ${format.share(of(best), 1)}; mean ${score(value)}` : `${axis}: ${score(value)}`;
  return svg("svg", { viewBox: `0 0 ${levels * wide} ${high_ + foot}`, class: "bars look-measure q8", role: "img", "aria-label": about },
    Array.from({ length: levels }, (_, i) => {
      const tall = Math.max(of(i) > 0.0005 ? 1 : 0, (of(i) / most) * (high_ - 2));
      return svg("g", {},
        svg("title", {}, `${low + i}: ${format.share(of(i), 1)}`),
        svg("rect", { class: "hit", x: i * wide, y: 0, width: wide, height: high_ }),
        svg("rect", { class: "filled", x: i * wide + 2, y: high_ - tall, width: wide - 4, height: tall }),
        svg("text", { class: "tick", x: (i + 0.5) * wide, y: high_ + 11, "text-anchor": "middle" }, low + i));
    }),
    svg("path", { class: "grid", d: `M0 ${high_}H${levels * wide}` }));
}

function judgementsSummary({ total, judgements }) {
  const failed = judgements.filter((one) => one.state !== "ok").length;
  const parts = [format.plural(total, "in the ledger", "in the ledger")];
  if (failed) parts.push(`${format.count(failed)} failed`);
  if (judgements.length < total) parts.push(`the last ${judgements.length} are shown`);
  return parts.join(", ");
}

function judgements(sample) {
  const { rounds } = sample;
  if (rounds.fault) return h("p", { class: "notice" }, rounds.fault);
  if (!rounds.total) return h("p", { class: "quiet" }, "The ledger has no judgement of this sample.");
  return h("ol", { class: "rounds" }, rounds.judgements.map((one) => judgement(sample, one)));
}

function judgement(sample, one) {
  const given = Object.entries(one.scores).map(([axis, x]) => `${axis} ${score(x)}`).join(" · ");
  const spent = [
    one.cost_usd > 0 && format.dollars(one.cost_usd),
    one.seconds > 0 && `${format.decimal(one.seconds, one.seconds < 1 ? 3 : 1)} s`,
    one.tokens[0] + one.tokens[1] > 0 && `${format.count(one.tokens[0])} + ${format.count(one.tokens[1])} tokens`,
    one.requests > 1 && format.plural(one.requests, "request"),
    one.at > 0 && h("time", { datetime: new Date(one.at * 1000).toISOString() }, format.moment(one.at)),
  ].filter(Boolean);
  return h("li", { class: "judgement" },
    h("p", { class: "tags" }, h("strong", {}, h("bdi", {}, marked(one.judge))), stateTag(one.state), one.counts && h("span", { class: "tag" }, "in the score")),
    given && h("p", {}, given),
    one.reason && h("p", {}, h("bdi", {}, marked(one.reason))),
    spent.length > 0 && h("p", { class: "quiet small spent" }, spent.map((part, i) => [i ? " · " : "", part])),
    one.raw.text ? h("div", { class: "raw" }, h("p", { class: "quiet small" }, "Reply"), clippable(one.raw, { row: sample.row, part: `reply-${one.number}` }, "pre")) : "",
    h("details", {}, h("summary", { class: "small" }, "Key in the ledger"), h("p", { class: "mono" }, marked(one.spec))));
}

function links(sample) {
  const lab = new URLSearchParams({ run: RUN, ...(sample.category && { category: sample.category }) });
  return h("div", {},
    h("h3", {}, "Where it is from"),
    h("dl", { class: "facts" },
      h("dt", {}, "Sample"), h("dd", { class: "mono" }, sample.sample_id),
      h("dt", {}, "Conversation"), h("dd", {}, h("bdi", {}, marked(sample.dialogue_id ?? "")), `, turn ${sample.turn}`),
      sample.source && [h("dt", {}, "Source"), h("dd", {}, h("bdi", {}, marked(sample.source)))],
      h("dt", {}, "Row"), h("dd", {}, format.count(sample.row + 1))),
    h("p", {}, h("a", { class: "button", href: `/lab?${lab}` }, "Its category in the threshold lab")));
}
