// Apply what is chosen: `select` itself runs as a job, under the run's lock, and its words are shown.

import { READ_ONLY, RUN, announce, fill, h } from "./common.js";
import { ended, startJob } from "./jobs.js";

const at = (id) => document.getElementById(id);

/** Let the button write the selection that `choice()` is, as of `query`; `applied` is called once it is written. */
export function offerApply(choice, applied) {
  at("apply").hidden = READ_ONLY;
  at("apply").addEventListener("click", async () => {
    at("apply").disabled = true;
    fill(at("done"), "Being written …");
    try {
      const chosen = Object.fromEntries(Object.entries(choice()).filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => [name, String(value)]));
      const job = await ended((await startJob({ step: "select", choice: chosen })).id);
      if (job?.state !== "done") throw new Error(job?.last_line || "It was stopped.");
      await applied();
      fill(at("done"), "Applied: the subsets are written. ", h("a", { href: `/steps?${new URLSearchParams({ run: RUN })}` }, "Download them, or train"));
      announce("Applied: the subsets are written.");
    } catch (error) {
      fill(at("done"), `Not applied: ${error.message}`);
    } finally {
      at("apply").disabled = false;
    }
  });
}
