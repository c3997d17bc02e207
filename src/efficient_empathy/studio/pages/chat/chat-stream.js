// Replies as they are made: one POST whose answer is a stream of events.

import { RUN } from "./common.js";

/** Ask for replies and call `take(kind, data)` for each event. Throws what a person should read; aborting is silent. */
export async function replies(request, take, signal) {
  const answer = await fetch(`/api/chat/replies?${new URLSearchParams({ run: RUN })}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request), signal,
  });
  if (!answer.ok) {
    const answerBody = await answer.json().catch(() => null);
    throw new Error(answerBody?.error ?? `The studio answered ${answer.status}.`);
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const [kind, data] = event.split("\n", 2);
      take(kind.slice("event: ".length), JSON.parse(data.slice("data: ".length)));
    }
  }
}
