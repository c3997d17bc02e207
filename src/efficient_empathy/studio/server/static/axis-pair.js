// Which two of a rubric's axes a map shows: there is a choice from three axes on.

import { fill, h } from "./common.js";

/** The axes that a map shows, `[right, up]`, out of all `names`: as chosen where there are such axes, else the first ones. `up` is null of one axis. */
export function pairOf(names, { right, up }) {
  if (names.length < 2) return [names[0], null];
  const upwards = names.includes(up) ? up : names.find((name) => name !== right);
  const other = names.includes(right) && right !== upwards ? right : names.find((name) => name !== upwards);
  return [other, upwards];
}

export class AxisPair {
  /** `onchoose({ right, up })` hears of another pair; an axis that takes the other's place gives it its own. */
  constructor(host, onchoose) {
    this.host = host;
    this.selects = Object.fromEntries(["up", "right"].map((id) => [id, h("select", { id, onchange: () => {
      const former = this.pair;
      this.pair = { ...former, [id]: this.selects[id].value };
      if (this.pair.up === this.pair.right) this.pair[id === "up" ? "right" : "up"] = former[id];
      onchoose({ ...this.pair });
    } })]));
    host.className = "pair small";
    fill(host, h("label", {}, "Upwards ", this.selects.up), " ", h("label", {}, "to the right ", this.selects.right));
  }

  /** The pair out of all axes, by name; hidden where there is nothing to choose. */
  show(names, right, up) {
    this.pair = { right, up };
    this.host.hidden = names.length < 3;
    for (const [id, name] of Object.entries(this.pair)) {
      fill(this.selects[id], ...names.map((one) => h("option", { value: one }, one)));
      if (name) this.selects[id].value = name;
    }
  }
}
