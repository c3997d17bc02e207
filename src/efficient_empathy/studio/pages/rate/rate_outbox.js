// Answers on their way to the studio: one after the other, each until it is acknowledged, each counted once.

import { api } from "./common.js";

const PATIENCE = [300, 1000, 2000, 4000];

/** Whether an error means that the annotator's link opens nothing any more. */
export function isEnd(error) {
  return [401, 403, 410].includes(error.status);
}

/** `onstate(text, bad)`, `onprogress(progress)`, `onend(sentence)`, `onrefusal(sentence)` are told how it goes. */
export function outbox({ onstate, onprogress, onend, onrefusal }) {
  const waiting = [];
  let sending = null;

  async function send() {
    for (let failures = 0; waiting.length; ) {
      try {
        const progress = await api("/api/rate/answer", { body: waiting[0], quiet: true });
        waiting.shift();
        failures = 0;
        onprogress(progress);
        if (!waiting.length) onstate("Saved", false);
      } catch (error) {
        if (error.status === 0 || error.status === 429 || error.status >= 500) {
          onstate("Not saved yet. Trying again…", failures === 0);
          await new Promise((ready) => setTimeout(ready, PATIENCE[Math.min(failures++, PATIENCE.length - 1)]));
          continue;
        }
        waiting.length = 0;
        if (isEnd(error)) onend(error.message);
        else onrefusal(error.message);
      }
    }
  }

  async function flush() {
    while (waiting.length) await (sending ??= send().finally(() => { sending = null; }));
  }

  return {
    add(answer) {
      waiting.push({ ...answer, submission: unlike() });
      onstate("Saving…", false);
      flush();
    },
    flush,
    waiting: () => waiting.length,
    /** Take back the last answer: `{ place }`, null where it could not be asked. */
    async undo() {
      try {
        return await api("/api/rate/undo", { body: { submission: unlike() }, quiet: true });
      } catch (error) {
        if (isEnd(error)) onend(error.message);
        else onrefusal(error.message);
        return null;
      }
    },
  };
}

/** A name unlike any other; `crypto.randomUUID` is not there on plain http. */
function unlike() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
