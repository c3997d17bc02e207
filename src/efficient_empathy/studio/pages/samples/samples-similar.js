// More like this: the samples that say most nearly what one of them says, as a filter of the page.

import { fill, format, h } from "./common.js";

const place = document.getElementById("like");
const WAIT = 700; // milliseconds between two looks at how far the samples have been read

/** The button beside a sample. */
export function likeButton(sample, onlike) {
  return h("button", { type: "button", onclick: () => onlike(sample.sample_id) }, "More like this");
}

/** Say what the list is, where it is of samples like one; `onopen` shows that one, `onclear` all samples again. */
export function showLike(like, { onopen, onclear }) {
  place.hidden = !like;
  if (!like) return;
  const sentence = like.fault ? `Samples like this one cannot be looked for: ${like.fault}.`
    : like.ended ? "The samples most like one of them, nearest first."
    : `All samples are read once for this: ${format.share(like.share, 1)}.`;
  fill(place, h("p", { class: "small", role: "status" }, sentence),
    like.ended ? "" : h("progress", { max: 1, value: like.share, "aria-label": "Samples that have been read" }),
    h("p", {}, h("button", { type: "button", onclick: onopen }, "Show that sample"), " ",
      h("button", { type: "button", onclick: onclear }, "Show all samples")));
}

/** Resolves once it is time to look again. */
export const pause = () => new Promise((resolve) => { setTimeout(resolve, WAIT); });
