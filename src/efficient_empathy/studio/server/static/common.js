// What every page uses: requests, elements, formats, the state in the URL, announcements, the theme.

export const RUN = document.body.dataset.run || "";
export const PAGE = document.body.dataset.page || "";
/** What the rubric says of each axis, by its name. */
export const AXES = JSON.parse(document.body.dataset.axes || "{}");
export const READ_ONLY = "readOnly" in document.body.dataset;

/**
 * Ask the studio: `api("/api/lab/cube", { query: { k: 1 }, method, body, signal })` → the JSON of the answer.
 * `run` is added to the query. `body` is sent as JSON, by POST unless a method is given. An error is shown to the
 * user and thrown (`error.status`, `error.message`); with `quiet` it is only thrown.
 */
export async function api(path, { query = {}, method, body, signal, quiet = false } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries({ ...(RUN && { run: RUN }), ...query })) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) url.searchParams.append(name, one);
    }
  }
  const headers = { Accept: "application/json", "X-Studio": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers, signal, credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw failed("The studio does not answer: is it still running?", 0, quiet);
  }
  const text = await answer.text();
  let found;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    found = null;
  }
  if (!answer.ok) throw failed(found?.error ?? `The studio answered ${answer.status}.`, answer.status, quiet);
  if (!quiet) showProblem("");
  return found;
}

function failed(sentence, status, quiet) {
  if (!quiet) showProblem(sentence);
  return Object.assign(new Error(sentence), { status });
}

/** Show a problem above the page's content; an empty sentence takes it away. */
export function showProblem(sentence) {
  const place = document.getElementById("problem");
  if (!place) return;
  place.textContent = sentence;
  place.hidden = !sentence;
}

/** Say something to those who listen rather than look. */
export function announce(sentence) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = sentence;
}

/**
 * An HTML element. Attributes: `class`, `onclick` (and every on…: a listener), `style` (an object, by CSSOM),
 * `dataset` (an object), true and false for attributes without a value, all else text or a number. Children: as `add`
 * takes them.
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export const capitalise = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** An axis by its name, which says what it means to who points at it. */
export const axisName = (name, shown = name, look = "") => h("span", { class: `axis-name ${look}`, title: AXES[name] }, shown);

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : legible(value, `the attribute ${name}`));
  }
  return add(element, ...children);
}

/**
 * Put children at the end of an element: elements, text, numbers, and arrays of these at any depth. null, undefined and
 * false are left out. Text is only ever text. Throws `TypeError` for anything else, which would read "[object Object]".
 */
export function add(element, ...children) {
  element.append(...nodes(children, element));
  return element;
}

/** Put these children, as of `add`, in place of all that an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children, element));
  return element;
}

function nodes(children, element) {
  const present = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  return present.map((child) => (child instanceof Node ? child : legible(child, `a child of <${element.localName}>`)));
}

function legible(value, place) {
  if (typeof value === "string" || Number.isFinite(value)) return value;
  throw new TypeError(`${place} must be text or a number, not ${Object.prototype.toString.call(value)} (${String(value)})`);
}

const NUMBERS = {
  whole: new Intl.NumberFormat("en", { maximumFractionDigits: 0 }),
  share: new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
};
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const format = {
  /** 40252 → 40,252 */
  count: (n) => NUMBERS.whole.format(n),
  /** (1, 8) → 12.5%; a dash where the whole is nothing */
  share: (part, whole) => (whole > 0 ? NUMBERS.share.format(part / whole) : "–"),
  /** 0.98765 → 0.988; a dash for what is no number */
  decimal: (x, digits = 3) => (x === null || x === undefined || !Number.isFinite(x) ? "–" : x.toFixed(digits)),
  /** -3 → −3, 3 → +3, 0 → ±0, with a real minus */
  signed: (n) => (n > 0 ? `+${NUMBERS.whole.format(n)}` : n < 0 ? `−${NUMBERS.whole.format(-n)}` : "±0"),
  /** 0.0123 → $0.0123, 12.3 → $12.30 */
  dollars: (x) => (x > 0 && x < 0.01 ? `$${x.toPrecision(2)}` : `$${(x ?? 0).toFixed(2)}`),
  /** Seconds → 8 s, 3 min 20 s, 2 h 5 min */
  duration: (s) => {
    if (!Number.isFinite(s)) return "–";
    if (s < 60) return `${Math.round(s)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
    return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  },
  /** Seconds since 1970 → 3 Mar 2026, 14:05, in the reader's time zone */
  moment: (s) => DATE.format(new Date(s * 1000)),
  /** (1, "sample") → 1 sample; (2, "sample") → 2 samples */
  plural: (n, word, many = `${word}s`) => `${NUMBERS.whole.format(n)} ${n === 1 ? word : many}`,
};

/** The state of a view, in the query string. A value that is null, undefined or "" leaves it. */
export const urlState = {
  get(name, fallback = null) {
    return new URLSearchParams(location.search).get(name) ?? fallback;
  },
  getAll(name) {
    return new URLSearchParams(location.search).getAll(name);
  },
  set(changes, { push = false } = {}) {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      query.delete(name);
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && one !== undefined && one !== "") query.append(name, one);
      }
    }
    const address = query.size ? `?${query}` : location.pathname;
    history[push ? "pushState" : "replaceState"](null, "", address);
  },
};

/** Call `f` once, `ms` after the last of a row of calls. */
export function debounce(f, ms = 150) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...values), ms);
  };
}

/** Put text on the clipboard and say so; false where the browser does not let us. */
export async function copy(text, message = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    add(document.body, area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) return false;
  }
  announce(message);
  return true;
}

function themes() {
  const button = document.getElementById("theme");
  if (!button) return;
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const shown = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  const label = () => {
    button.textContent = shown() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${shown() === "dark" ? "light" : "dark"} theme`);
  };
  button.hidden = false;
  label();
  dark.addEventListener("change", label);
  button.addEventListener("click", () => {
    root.dataset.theme = shown() === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("studio-theme", root.dataset.theme);
    } catch { /* no storage: it holds for this page */ }
    label();
    root.dispatchEvent(new CustomEvent("themechange", { bubbles: true }));
  });
}

function runPicker() {
  const picker = document.getElementById("run-picker");
  if (!picker) return;
  for (const button of picker.form.querySelectorAll(".unscripted")) button.hidden = true;
  picker.addEventListener("change", () => picker.form.requestSubmit());
}

for (const time of document.querySelectorAll("time[data-seconds]")) {
  time.textContent = format.moment(Number(time.dataset.seconds));
}
themes();
runPicker();
