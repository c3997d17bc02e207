// A study on the owner's page: its raters and their links, agreement so far, results as pictures, downloads.

import { READ_ONLY, RUN, announce, api, copy, fill, format, h } from "./common.js";

const DOWNLOADS = [["csv", "Answers (CSV)"], ["jsonl", "JSONL"], ["parquet", "Parquet"], ["sheets", "Sheets (ZIP)"]];

/** The card of a study that was set up here; `acts` has load, close, finish and remove. */
export function studyCard(study, acts) {
  const parts = { state: h("span", {}), rows: h("tbody", {}), agreement: h("div", {}), results: h("div", {}), buttons: h("div", { class: "bar" }),
    downloads: h("div", { class: "bar" }) };
  const { setup } = study;
  const unit = setup.source === "chat" ? "turn" : "sample";
  const kinds = { likert: "ratings", ab: "comparisons" };
  const asked = Object.entries(study.questions).map(([task, names]) => `${kinds[task]} (${names.join(", ")})`).join(" and ");
  const shared = setup.overlap ? `, each by ${setup.overlap} of ${study.raters.length} raters` : "";
  const root = h("section", { class: "card rate-card", "aria-label": `Study ${study.name}` },
    h("div", { class: "rate-head" }, h("h2", {}, study.name), parts.state),
    h("p", {}, `Responses of ${setup.models.join(", ")}${setup.filter ? ` to samples of the filter ${setup.filter}` : ""}`),
    h("p", { class: "quiet" }, `${format.plural(study.samples, unit)}${unit === "turn" ? " of the chat" : ""}, ${asked}${shared}; `
      + `${format.decimal(100 * setup.repeats, 0)}% hidden repeats, seed ${setup.seed}, set up ${format.moment(study.made_at)}`,
    setup.left_out ? `; ${format.plural(setup.left_out, unit)} left out, which not every model responded to` : ""),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Raters of ${study.name}` },
      h("table", { class: "wide rate-raters" }, h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Rater"), h("th", { scope: "col" }, "Done"), h("th", { scope: "col", class: "n" }, "Seconds a task"),
        h("th", { scope: "col", class: "n" }, "Steady"), h("th", { scope: "col" }, "Last rated"), h("th", { scope: "col" }, "Link"))),
      parts.rows)),
    h("p", { class: "quiet small" }, "Seconds a task: the median. Steady: how many answers to hidden repeats were the same as before."),
    parts.agreement, parts.results, parts.buttons, parts.downloads);
  const rows = new Map(study.raters.map((rater) => [rater.name, raterRow(study, rater, acts)]));
  fill(parts.rows, ...[...rows.values()].map((row) => row.root));
  let shown = "";
  return { root, update(now) {
    now.raters.forEach((rater) => rows.get(rater.name).update(rater));
    const key = JSON.stringify([now.closed_at, now.agreement, now.results, now.answers > 0]);
    if (key === shown) return;
    shown = key;
    parts.state.className = now.closed_at ? "tag" : "tag good";
    parts.state.textContent = now.closed_at ? "closed" : "open";
    fill(parts.agreement, agreementTable(now.agreement, study.name));
    fill(parts.results, now.results ? resultParts(now.results, study.name) : null);
    fill(parts.buttons, buttons(now, acts));
    fill(parts.downloads, downloads(now));
  } };
}

function raterRow(study, rater, acts) {
  const bar = h("progress", { "aria-label": `${rater.name}: tasks done` });
  const cells = { done: h("span", { class: "small" }), seconds: h("td", { class: "n" }), steady: h("td", { class: "n" }), seen: h("td", {}), link: h("td", {}) };
  const root = h("tr", {}, h("th", { scope: "row" }, rater.name), h("td", {}, cells.done, bar), cells.seconds, cells.steady, cells.seen, cells.link);
  let link;
  return { root, update(now) {
    cells.done.textContent = `${format.count(now.done)} of ${format.count(now.total)}`;
    Object.assign(bar, { max: now.total, value: now.done });
    cells.seconds.textContent = format.decimal(now.seconds, 0);
    cells.steady.textContent = now.steady === null ? "–" : `${format.count(now.steady * now.repeats)} of ${format.count(now.repeats)}`;
    cells.seen.textContent = now.seen_at ? format.moment(now.seen_at) : "never";
    if (link === now.link) return;
    link = now.link;
    const held = cells.link.contains(document.activeElement);
    fill(cells.link, linkCell(study, now, acts));
    if (held) cells.link.querySelector("button")?.focus();
  } };
}

function linkCell(study, rater, acts) {
  const change = (action) => async () => {
    await api("/api/rate/links", { body: { study: study.id, rater: rater.name, action, days: study.setup.days } });
    announce(action === "revoke" ? `The link of ${rater.name} opens nothing any more.` : `${rater.name} has a new link.`);
    await acts.load();
  };
  const named = (text, name, onclick, extra = {}) =>
    h("button", { type: "button", "aria-label": `${name} ${rater.name}`, onclick, disabled: READ_ONLY && !extra.free, class: extra.class }, text);
  if (!rater.link) {
    const why = rater.expires_at ? "ended" : "withdrawn";
    return h("div", { class: "actions" }, h("span", { class: "tag bad" }, why), named("New link", "New link for", change("renew")));
  }
  const copied = async (event) => {
    const button = event.currentTarget;
    const address = new URL(rater.link, location.origin).href;
    if (await copy(address, `The link of ${rater.name} is copied.`)) {
      const say = (text, name) => {
        button.textContent = text;
        button.setAttribute("aria-label", `${name} ${rater.name}`);
      };
      say("Copied", "Copied: link of");
      setTimeout(say, 1500, "Copy link", "Copy link of");
    } else prompt("The link:", address);
  };
  return h("div", { class: "actions" }, named("Copy link", "Copy link of", copied, { free: true }),
    named("Withdraw", "Withdraw the link of", change("revoke"), { class: "plain" }),
    h("span", { class: "quiet small" }, `until ${format.moment(rater.expires_at)}`));
}

function agreementTable(lines, name) {
  const common = lines.filter((line) => line.common);
  if (!common.length) return [h("p", { class: "quiet" }, "Agreement shows as soon as two raters have answered the same task.")];
  const columns = [["alpha_ordinal", "Krippendorff’s α, ordinal"], ["weighted_kappa", "Weighted κ"], ["fleiss_kappa", "Fleiss’ κ"]];
  const asked = (line) => `${line.question}${line.task === "ab" ? " (compared)" : ""}`;
  return [h("h3", {}, "Agreement so far"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Agreement in ${name}` },
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Question"),
      h("th", { scope: "col", class: "n" }, "By two or more"), columns.map(([, title]) => h("th", { scope: "col", class: "n" }, title)))),
    h("tbody", {}, common.map((line) => h("tr", {}, h("th", { scope: "row" }, asked(line)),
      h("td", { class: "n" }, `${format.count(line.common)} of ${format.count(line.items)}`),
      columns.map(([column]) => h("td", { class: "n" }, format.decimal(line[column], 2))))))))];
}

function resultParts(results, name) {
  const { figures, problems } = results;
  return [h("h3", {}, "Results"),
    h("p", { class: "quiet small" }, `Whiskers and brackets: ${format.decimal(100 * results.confidence, 0)}% intervals over other dialogues, with these raters. A tie counts as half a win.`),
    h("div", { class: "rate-figures" }, figures.map(({ title, svg }) => h("figure", { class: "plot" }, h("figcaption", {}, title),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title}, ${name}` }, drawing(svg))))),
    problems.length ? h("details", {}, h("summary", {}, `${format.plural(problems.length, "note")} on the ratings`), h("ul", {}, problems.map((one) => h("li", {}, one)))) : null];
}

/** A figure that the studio drew. */
function drawing(text) {
  return document.adoptNode(new DOMParser().parseFromString(text, "text/html").querySelector("svg"));
}

function buttons(study, acts) {
  const button = (text, onclick, extra = {}) => h("button", { type: "button", disabled: READ_ONLY, onclick, ...extra }, text);
  const remove = button("Delete…", () => acts.remove(study), { class: "danger" });
  if (study.closed_at) return [button("Open again", () => acts.close(study, "reopen")), study.results ? null : button("Finish…", () => acts.finish(study)), remove];
  return [button("Finish…", () => acts.finish(study), { class: "primary", disabled: READ_ONLY || !study.answers }),
    button("Close", () => acts.close(study, "close")), remove];
}

function downloads(study) {
  const link = ([kind, title]) => h("a", { class: "button", download: true,
    href: `/api/rate/export?${new URLSearchParams({ run: RUN, study: study.id, format: kind })}` }, title);
  return [h("span", { class: "quiet" }, "Download"), h("span", { class: "group" }, DOWNLOADS.map(link)),
    link(["key", "Key"]), h("span", { class: "quiet small" }, "The key says which model is whose: keep it from raters.")];
}

/** The card of a study whose sheets were handed out: its results, once they are read back. */
export function sheetsCard(study, acts) {
  const results = h("div", {});
  const root = h("section", { class: "card rate-card", "aria-label": `Study ${study.name}` },
    h("div", { class: "rate-head" }, h("h2", {}, study.name), h("span", { class: "tag" }, "sheets")), results,
    h("div", { class: "bar" }, h("button", { type: "button", class: "danger", disabled: READ_ONLY, onclick: () => acts.remove(study) }, "Delete…")));
  let shown;
  return { root, update(now) {
    const key = JSON.stringify(now);
    if (key === shown) return;
    shown = key;
    fill(results, now.problem ? h("p", { class: "notice" }, now.problem) : now.results ? resultParts(now.results, now.name)
      : h("p", { class: "quiet" }, "Its sheets are handed out. Results show here when they are read back with ",
        h("code", {}, `efficient-empathy ratings read --study "${now.name}" SHEETS`), "."));
  } };
}
