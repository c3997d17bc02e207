// Texts of others, shown as they are: what cannot be seen is named, what is long is clipped.

import { add, api, fill, format, h } from "./common.js";

// Controls, soft hyphens, zero-width characters, directional marks and overrides; joiners (ZWJ, ZWNJ) belong to scripts
// and emoji, and stay.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]/gu;
export const CLIP = 1_200;

let wanted = null;

/** What is searched for, and marked in every text from now on; empty for nothing. */
export function highlight(text) {
  wanted = text ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "giu") : null;
}

/** A text with what is searched for marked in it. */
function withHits(text) {
  if (!wanted) return [text];
  const nodes = [];
  let from = 0;
  for (const hit of text.matchAll(wanted)) {
    nodes.push(text.slice(from, hit.index), h("mark", {}, hit[0]));
    from = hit.index + hit[0].length;
  }
  return [...nodes, text.slice(from)];
}

/** A text as nodes, in which every character that cannot be seen is a mark with its code. */
export function marked(text) {
  const plain = text.replace(/\r\n?/g, "\n");
  const nodes = [];
  let from = 0;
  for (const hidden of plain.matchAll(HIDDEN)) {
    if (hidden.index > from) nodes.push(...withHits(plain.slice(from, hidden.index)));
    const code = `U+${hidden[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    nodes.push(h("span", { class: "hidden-character", title: "a character that cannot be seen" }, code));
    from = hidden.index + hidden[0].length;
  }
  if (from < plain.length) nodes.push(...withHits(plain.slice(from)));
  return nodes;
}

/** The beginning of a text, not ending inside of a pair of surrogates. */
export function beginning(text, limit) {
  if (text.length <= limit) return text;
  const high = text.charCodeAt(limit - 1);
  return text.slice(0, high >= 0xd800 && high < 0xdc00 ? limit - 1 : limit);
}

/**
 * A text in an element of its own, `{ text, length }` (characters of the whole), with a button where it is clipped.
 * `query` asks the studio for the whole: `{ row, part }`. `tag` is p or pre.
 */
export function clippable(whole, query, tag = "p") {
  const short = beginning(whole.text, CLIP);
  const place = h(tag, { dir: "auto" }, marked(short));
  if (short.length === whole.text.length && whole.text.length >= whole.length) {
    if (!whole.text.trim()) add(place, h("em", { class: "quiet" }, whole.text ? "blank" : "empty"));
    return [place];
  }
  add(place, " …");
  const button = h("button", {
    type: "button", class: "plain show-all",
    onclick: async () => {
      button.disabled = true;
      const all = [...whole.text].length >= whole.length ? whole.text : (await api("/api/samples/text", { query })).text;
      fill(place, ...marked(all));
      place.tabIndex = -1;
      place.focus();
      button.remove();
    },
  }, `Show all ${format.count(whole.length)} characters`);
  return [place, button];
}
