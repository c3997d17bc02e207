// Jobs of a run: start one, follow it to its end, stop it, read what it printed.

import { announce, api, fill, format, h } from "./common.js";

const EVERY_MS = 700;
const WORDS = { running: "at work", stopping: "stopping", done: "done", failed: "failed", stopped: "stopped", lost: "ended unseen" };
const LOOKS = { running: "good", stopping: "warm", failed: "bad" };

export const isAtWork = (job) => job.state === "running" || job.state === "stopping";

/** The jobs of a run, or with another `page` those that its page starts. */
export const loadJobs = async ({ page = "steps", ...options } = {}) => (await api(`/api/${page}/jobs`, { quiet: true, ...options })).jobs;

export const startJob = (body) => api("/api/steps/start", { body });

/** The `command` of a step, and the `refusal` that it would end with, empty where none is known. */
export const commandOf = (body) => api("/api/steps/command", { body, quiet: true });

/** The job of that id once it has ended. */
export async function ended(id) {
  for (;;) {
    const job = (await loadJobs()).find((one) => one.id === id);
    if (!job || !isAtWork(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS / 2));
  }
}

/** Call `draw` with the jobs of a `page` now, and again as long as one is at work; a function that looks at once. */
export function follow(draw, page = "steps") {
  let timer;
  async function look() {
    clearTimeout(timer);
    let jobs;
    try {
      jobs = await loadJobs({ page });
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
    h("span", { class: "line small" }, job.state === "done" ? "" : job.last_line),
    on.stop && isAtWork(job) && h("button", { type: "button", class: "danger", onclick: () => on.stop(job) }, job.state === "stopping" ? "Stop at once" : "Stop"),
    h("button", { type: "button", class: "plain", onclick: () => on.read(job), "aria-label": `Output of ${job.title}` }, "Output"));
}

/**
 * A list of jobs that is kept up to date: `onjobs(jobs, over)` hears of each look, `over` is one that has ended since.
 * Call what it returns with a job that has just begun.
 */
export function jobList(page, list, log, onjobs, { shown = 8, readOnly = false } = {}) {
  let atWork = null;
  const stop = async (job) => {
    try {
      await api(`/api/${page}/stop`, { method: "POST", query: { job: job.id } });
      look();
    } catch { /* it stands above the page */ }
  };
  const read = async (job) => {
    const { output } = await api(`/api/${page}/output`, { query: { job: job.id } });
    const text = log.querySelector("pre");
    text.textContent = output || "Nothing so far.";
    log.showModal();
    text.scrollTop = text.scrollHeight;
  };
  const look = follow((jobs) => {
    fill(list, jobs.slice(0, shown).map((job) => jobLine(job, { stop: readOnly ? null : stop, read })));
    const was = atWork;
    atWork = jobs.find(isAtWork) ?? null;
    const over = (was && !atWork && jobs.find((job) => job.id === was.id)) || null;
    if (over) announce(`${over.title}: ${over.state}.`);
    onjobs(jobs, over);
  }, page);
  return (begun) => {
    atWork = begun;
    announce(`${begun.title} has begun.`);
    look();
  };
}
