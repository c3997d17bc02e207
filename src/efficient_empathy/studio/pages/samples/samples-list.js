// A list of any length in which only what is on screen exists: rows come in pages, and pages that were left are dropped.

import { fill, h } from "./common.js";

const PAGE = 40;
const PAGES_HELD = 24;
const TALLEST = 8_000_000; // pixels; browsers cut off elements of some tens of millions
const SETTLED = 60; // milliseconds without a scroll before rows are asked for

export class VirtualList {
  /**
   * `fetchRows(offset, limit, signal)` resolves to rows; `draw(row)` gives a row's children; `onopen(place, row)` hears
   * of a row that was chosen, and `onstep(place)` of one that the keys have moved to. Rows are as tall as the CSS variable
   * --row says.
   */
  constructor(host, { fetchRows, draw, onopen, onstep = () => {} }) {
    Object.assign(this, { host, fetchRows, draw, onopen, onstep });
    Object.assign(this, { count: 0, top: 0, active: 0, open: null, pages: new Map(), requests: new Map(), elements: new Map() });
    this.layer = h("div", { class: "layer", role: "presentation" });
    this.spacer = h("div", { class: "spacer", role: "presentation" }, this.layer);
    fill(host, this.spacer);
    host.addEventListener("scroll", () => this.handleScroll(), { passive: true });
    host.addEventListener("keydown", (event) => this.handleKey(event));
    host.addEventListener("click", (event) => this.handleClick(event));
    host.addEventListener("wheel", (event) => this.handleWheel(event), { passive: false });
    host.addEventListener("touchstart", (event) => { this.touch = event.touches[0].clientY; }, { passive: true });
    host.addEventListener("touchmove", (event) => this.handleTouch(event), { passive: false });
    new ResizeObserver(() => this.measure()).observe(host);
  }

  /** Another list: `count` rows, from the top or from where it was. Rows that were read are forgotten. */
  reset(count, { keep = false } = {}) {
    for (const control of this.requests.values()) control.abort();
    this.requests.clear();
    this.pages.clear();
    this.elements.forEach((element) => element.remove());
    this.elements.clear();
    if (!keep) Object.assign(this, { top: 0, active: 0 });
    this.count = count;
    this.active = Math.max(0, Math.min(this.active, count - 1));
    this.measure();
  }

  measure() {
    const row = Number.parseFloat(getComputedStyle(this.host).getPropertyValue("--row"));
    if (this.row && row !== this.row) this.top *= row / this.row;
    this.row = row;
    this.view = this.host.clientHeight;
    this.total = this.count * this.row;
    this.height = Math.min(this.total, TALLEST);
    this.spacer.style.setProperty("height", `${Math.max(this.height, this.view)}px`);
    this.layer.style.setProperty("height", `${this.view}px`);
    this.moveTo(this.top);
  }

  get isScaled() {
    return this.height < this.total;
  }

  get visible() {
    return Math.max(1, Math.floor(this.view / this.row));
  }

  /** Show the list from a pixel on, counted as if nothing were scaled. */
  moveTo(top) {
    this.top = Math.max(0, Math.min(top, this.total - this.view));
    const ratio = this.isScaled ? (this.height - this.view) / (this.total - this.view) : 1;
    this.host.scrollTop = this.top * ratio;
    this.position = this.host.scrollTop;
    this.render();
  }

  handleScroll() {
    const at = this.host.scrollTop;
    if (Math.abs(at - this.position) < 1) return;
    this.position = at;
    this.top = this.isScaled ? (at / (this.height - this.view)) * (this.total - this.view) : at;
    this.render();
  }

  handleWheel(event) {
    if (!this.isScaled || event.ctrlKey) return;
    event.preventDefault();
    const unit = [1, this.row, this.view][event.deltaMode] ?? 1;
    this.moveTo(this.top + event.deltaY * unit);
  }

  handleTouch(event) {
    if (!this.isScaled) return;
    event.preventDefault();
    const at = event.touches[0].clientY;
    this.moveTo(this.top + this.touch - at);
    this.touch = at;
  }

  handleKey(event) {
    if (event.altKey || event.metaKey || !this.count) return;
    const step = this.visible;
    const target = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + step, PageUp: this.active - step,
      Home: 0, End: this.count - 1,
    }[event.key];
    if (target !== undefined) this.step(target);
    else if (event.key === "Enter" || event.key === " ") this.choose(this.active);
    else return;
    event.preventDefault();
  }

  handleClick(event) {
    const place = Number(event.target.closest("[role=option]")?.dataset.place ?? -1);
    if (place < 0) return;
    this.activate(place);
    this.choose(place);
  }

  /** Go to a row as the keys do. */
  step(place) {
    this.activate(place);
    this.onstep(this.active);
  }

  /** The same, with the row in the middle of what is in view. */
  centre(place) {
    this.measure();
    this.moveTo(place * this.row - (this.view - this.row) / 2);
    this.activate(place);
  }

  /** Make a row the one that the keys act on, and bring it into view. */
  activate(place) {
    this.active = Math.max(0, Math.min(place, this.count - 1));
    const [from, to] = [this.active * this.row, (this.active + 1) * this.row];
    if (from < this.top) this.moveTo(from);
    else if (to > this.top + this.view) this.moveTo(to - this.view);
    else this.render();
  }

  async choose(place) {
    const row = await this.rowAt(place);
    if (!row) return;
    this.mark(place);
    this.onopen(place, row);
  }

  /** Mark a row as the one that is open; null for none. */
  mark(place) {
    this.open = place;
    this.render();
  }

  /** A row by its place; read if it is not there. */
  async rowAt(place) {
    if (place < 0 || place >= this.count) return null;
    const page = Math.floor(place / PAGE);
    if (!this.pages.has(page)) await this.read(page);
    return this.pages.get(page)?.[place % PAGE] ?? null;
  }

  render() {
    if (!this.row || !this.view) return;
    const first = Math.floor(this.top / this.row);
    const last = Math.min(this.count - 1, Math.floor((this.top + this.view - 0.5) / this.row));
    for (const [place, element] of this.elements) {
      if (place >= first && place <= last) continue;
      element.remove();
      this.elements.delete(place);
    }
    for (let place = first; place <= last; place++) this.renderRow(place);
    const active = this.elements.get(this.active);
    if (active) this.host.setAttribute("aria-activedescendant", active.id);
    else this.host.removeAttribute("aria-activedescendant");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.need(first, last), this.pages.size ? SETTLED : 0);
  }

  renderRow(place) {
    let element = this.elements.get(place);
    if (!element) {
      element = h("div", { role: "option", id: `sample-${place}`, class: "row", "aria-posinset": place + 1, dataset: { place } });
      this.elements.set(place, element);
      const next = [...this.layer.children].find((one) => Number(one.dataset.place) > place) ?? null;
      this.layer.insertBefore(element, next);
    }
    const row = this.pages.get(Math.floor(place / PAGE))?.[place % PAGE];
    if (element.row !== row || !element.hasChildNodes()) {
      element.row = row;
      fill(element, ...(row ? this.draw(row, place) : [h("span", { class: "quiet" }, `Sample ${place + 1} …`)]));
    }
    element.setAttribute("aria-setsize", this.count);
    element.setAttribute("aria-selected", place === this.open);
    element.classList.toggle("active", place === this.active);
    element.style.setProperty("transform", `translateY(${place * this.row - this.top}px)`);
  }

  need(first, last) {
    const pages = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) pages.push(page);
    for (const [page, control] of this.requests) if (!pages.includes(page)) control.abort();
    for (const page of pages) if (!this.pages.has(page) && !this.requests.has(page)) this.read(page).catch(() => {});
    for (const page of this.pages.keys()) {
      if (this.pages.size <= PAGES_HELD) break;
      if (!pages.includes(page)) this.pages.delete(page); // the one read longest ago
    }
  }

  async read(page) {
    const control = new AbortController();
    this.requests.set(page, control);
    try {
      const rows = await this.fetchRows(page * PAGE, PAGE, control.signal);
      if (this.requests.get(page) === control) {
        this.pages.set(page, rows);
        this.render();
      }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      if (this.requests.get(page) === control) this.requests.delete(page);
    }
  }
}
