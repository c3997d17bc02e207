// The conversation over a reload: kept in this browser tab alone, for this run, and gone when the tab is closed.

import { RUN } from "./common.js";

const KEY = `chat ${RUN}`;
const SHOWN = ["model", "text", "tokens", "experts", "state", "context", "message", "partial", "finish", "completion_tokens", "seconds", "cost_usd", "spent_usd", "mean", "seed", "left_out"];

/** Keep turns; without room for them the oldest are let go. */
export function keep(turns) {
  let lines = turns.map(({ text, models, choice, settings, note, replies }) => ({
    text, models, choice, settings, note,
    replies: [...replies.values()].map((reply) => Object.fromEntries(SHOWN.filter((name) => reply[name] !== undefined).map((name) => [name, reply[name]]))),
  }));
  for (;;) {
    try {
      if (lines.length) sessionStorage.setItem(KEY, JSON.stringify(lines));
      else sessionStorage.removeItem(KEY);
      return;
    } catch {
      if (!lines.length) return; // no storage: the conversation is this page's alone
      lines = lines.slice(1);
    }
  }
}

/** The turns that were kept, as the page holds them. */
export function kept() {
  try {
    const lines = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return lines.map((turn) => ({ ...turn, replies: new Map(turn.replies.map((reply) => [reply.model, reply])) }));
  } catch {
    return [];
  }
}
