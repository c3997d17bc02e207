// Who judges: what the form of templates/judges.html.j2 says, and what a plan comes to.

import { format } from "./common.js";

const at = (id) => document.getElementById(id);

/** The kind of judge: distilled, openai or anthropic. */
export const judge = () => document.querySelector("[name=judge]:checked").value;

/** The judge and its options, as the studio takes them. */
export function judgeSaid() {
  if (judge() === "distilled") return { judge: "distilled", own: at("own-judge")?.value ?? "" };
  return {
    judge: judge(), model: at("model").value.trim(), base_url: at("base-url").value.trim(), key: at("key").value,
    redact: at("redact").checked, max_cost: Number.parseFloat(at("max-cost").value) || null,
    concurrency: Number.parseInt(at("concurrency").value, 10) || null,
  };
}

/** Call `change` whenever who judges, or how, is another. */
export function onJudge(change) {
  for (const radio of document.querySelectorAll("[name=judge]")) {
    radio.addEventListener("change", () => {
      at("endpoint").hidden = judge() === "distilled";
      if (at("own-field")) at("own-field").hidden = judge() !== "distilled";
      at("model").placeholder = judge() === "anthropic" ? "claude-haiku-4-5" : "gpt-4o-mini";
      change();
    });
  }
  for (const id of ["own-judge", "model", "base-url", "redact", "concurrency", "max-cost"]) at(id)?.addEventListener("change", () => change());
}

/** What a plan's requests cost, in words. */
export function money(plan) {
  if (plan.requests === 0) return "free";
  if (plan.cost_usd === null) return `${format.plural(plan.requests, "request")}; the price of ${at("model").value.trim()} is not known here`;
  return `${format.plural(plan.requests, "request")}, about ${format.dollars(plan.cost_usd)}, at most ${format.dollars(plan.max_cost_usd)}`;
}
