// Jobs of a run: start one, follow it to its end, stop it, read what it printed.

import { api, format, h } from "./common.js";

const EVERY_MS = 700;
const WORDS = { running: "at work", stopping: "stopping", done: "done", failed: "failed", stopped: "stopped", lost: "ended unseen" };
const LOOKS = { running: "good", stopping: "warm", failed: "bad" };

export const isAtWork = (job) => job.state === "running" || job.state === "stopping";

export const loadJobs = async (options = {}) => (await api("/api/steps/jobs", { quiet: true, ...options })).jobs;

export const startJob = (body) => api("/api/steps/start", { body });

export const commandOf = async (body) => (await api("/api/steps/command", { body, quiet: true })).command;

/** The job of that id once it has ended. */
export async function ended(id) {
  for (;;) {
    const job = (await loadJobs()).find((one) => one.id === id);
    if (!job || !isAtWork(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS / 2));
  }
}

/** Call `draw` with the jobs now, and again as long as one is at work; a function that looks at once. */
export function follow(draw) {
  let timer;
  async function look() {
    clearTimeout(timer);
    let jobs;
    try {
      jobs = await loadJobs();
    } catch {
      timer = setTimeout(look, 5 * EVERY_MS);
      return;
    }
    draw(jobs);
    if (jobs.some(isAtWork)) timer = setTimeout(look, EVERY_MS);
  }
  look();
  return look;
}

/** One job as a line of a list. `on` has `stop` and `read`, called with the job; without `stop` it cannot be stopped. */
export function jobLine(job, on) {
  return h("li", { class: "job", dataset: { job: job.id, state: job.state } },
    h("strong", {}, job.title),
    h("span", { class: `tag ${LOOKS[job.state] ?? ""}` }, WORDS[job.state]),
    h("span", { class: "quiet small" }, `${format.moment(job.started_at)}, ${format.duration(job.seconds)}`),
    h("span", { class: "line small" }, job.last_line),
    on.stop && isAtWork(job) && h("button", { type: "button", class: "danger", onclick: () => on.stop(job) }, job.state === "stopping" ? "Stop at once" : "Stop"),
    h("button", { type: "button", class: "plain", onclick: () => on.read(job), "aria-label": `Output of ${job.title}` }, "Output"));
}
