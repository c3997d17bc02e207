// Parts of a page that are still worked out: asked for until they are there, then put in place of what waited.

import { announce, api } from "./common.js";

const PAUSE = 400;

/**
 * Wait for the element of that id, and replace it by its own successor in the same page; `done` is called then. One that
 * waits too, as where the work began anew meanwhile, is waited for in turn.
 */
export async function waitFor(id, done = () => {}) {
  const place = document.getElementById(id);
  const path = place?.dataset.waits;
  if (!path) return;
  for (const element of place.querySelectorAll(".unscripted")) element.hidden = true;
  for (;;) {
    const query = {};
    for (const [name, value] of new URLSearchParams(location.search)) (query[name] ??= []).push(value);
    let state;
    try {
      state = await api(path, { query });
    } catch (error) {
      if (error.status === 429) state = { ended: false };
      else return;
    }
    if (state.ended) break;
    const bar = place.querySelector("progress");
    if (bar && state.share !== undefined) bar.value = state.share;
    const doing = place.querySelector(".doing");
    if (doing && state.doing) doing.textContent = state.doing;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
  const address = new URL(location.href);
  address.searchParams.delete("again");
  const answer = await fetch(address, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const successor = page.getElementById(id);
  if (!successor) return location.reload();
  place.replaceWith(document.adoptNode(successor));
  if (successor.dataset.waits) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    return waitFor(id, done);
  }
  for (const note of document.querySelectorAll("[data-address-note]")) note.remove();
  document.getElementById("problem").after(...page.querySelectorAll("[data-address-note]")); // it knows more of what there is
  announce("The figures are there.");
  done();
}
