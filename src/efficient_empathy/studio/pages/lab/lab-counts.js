// Counting what the studio sent: points with their samples, and the subset of each point at each step of a threshold, for
// the moments while a threshold moves. What stands is the studio's own selection. No rule stands here: a subset comes from
// the codes alone.

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const total = (counts) => counts.reduce((a, b) => a + b, 0);

/** Counts as whole numbers with the same sum, by largest remainder: what `select` makes of expected counts. */
export function wholeCounts(counts) {
  const whole = counts.map(Math.floor);
  const missing = Math.round(total(counts)) - total(whole);
  const order = counts.map((n, k) => [n - Math.floor(n), k]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (const [, k] of order.slice(0, missing)) whole[k] += 1;
  return whole;
}

export class PointCounts {
  /** `view` is what `/api/lab/view` says; `before` the counts whose samples stand in the same points (`key`), or null. */
  constructor(view, before) {
    Object.assign(this, view.at ? view : { ...before?.source, ...view });
    this.source = { axes: this.axes, categories: this.categories, unnamed: this.unnamed, unscored: this.unscored, at: this.at, grid: this.grid, cells: this.cells, expected: this.expected };
    this.codes = view.codes === undefined ? null : bytes(view.codes);
    this.points = this.at[0].length;
    this.slices = new Map(Object.entries(view.slices ?? {}).map(([name, { values, codes }]) => [name, { values, codes: bytes(codes) }]));
    this.values = Object.fromEntries(view.thresholds.map((one) => [one.name, one.value]));
    this.scored = new Float64Array(this.categories.length);
    this.cells.n.forEach((n, i) => { this.scored[this.cells.category[i]] += n; });
    this.totals = { scored: total(this.scored), unscored: total(this.unscored) };
    this.assignment = view.assignment ?? null;
    this.flipDetails = null;
  }

  /** Whether the browser's counts at another step are no estimates. */
  get countable() {
    return this.kind === "counted";
  }

  /** Whether all that `select` would write is here. */
  get complete() {
    return this.assignment !== null;
  }

  /** Samples with scores, and without: of one category, or of all where it is null. */
  samples(category = null) {
    return category === null ? this.totals : { scored: this.scored[category], unscored: this.unscored[category] };
  }

  /** The codes of all points at these thresholds; null where only the studio knows them. */
  codesAt(values) {
    const names = Object.keys(values).filter((name) => values[name] !== this.values[name]);
    if (!names.length) return this.codes;
    const slice = names.length === 1 ? this.slices.get(names[0]) : undefined;
    const step = slice ? slice.values.indexOf(values[names[0]]) : -1;
    return step < 0 ? null : slice.codes.subarray(step * this.points, (step + 1) * this.points);
  }

  /** Counts of every category, `[category * subsets + subset]`: by codes, or as selected where `codes` is null. */
  byCategory(codes) {
    const counts = new Float64Array(this.categories.length * this.subsets.length);
    const { point, category, n, code } = codes ? (this.expected ?? this.cells) : this.assignment;
    for (let i = 0; i < n.length; i++) counts[category[i] * this.subsets.length + (codes ? codes[point[i]] : code[i])] += n[i];
    return counts;
  }

  /** Counts by subset, of one category or of all. */
  sizes(codes, category = null, whole = true) {
    const counts = new Array(this.subsets.length).fill(0);
    this.byCategory(codes).forEach((n, i) => {
      if (category === null || Math.floor(i / this.subsets.length) === category) counts[i % this.subsets.length] += n;
    });
    return whole ? wholeCounts(counts) : counts;
  }

  /** Sizes along one threshold, the others as they were sent: `[{ value, sizes }]`. */
  curve(name, category = null) {
    const slice = this.slices.get(name);
    if (!slice) return [];
    const key = `${category} ${name}`;
    this.curves ??= new Map();
    if (!this.curves.has(key)) {
      this.curves.set(key, slice.values.map((value, step) => ({
        value, sizes: this.sizes(slice.codes.subarray(step * this.points, (step + 1) * this.points), category, false),
      })));
    }
    return this.curves.get(key).map((point) => ({ ...point }));
  }

  /** What changes subset when one threshold moves by one, the largest move first; null while the studio works it out. */
  flips(category = null) {
    return this.flipDetails?.map(({ threshold, value, to, moves }) => {
      const sums = new Map();
      moves.n.forEach((n, i) => {
        if (category !== null && moves.category[i] !== category) return;
        const pair = moves.from[i] * this.subsets.length + moves.to[i];
        sums.set(pair, (sums.get(pair) ?? 0) + n);
      });
      const pairs = [...sums].map(([pair, n]) => ({ from: Math.floor(pair / this.subsets.length), to: pair % this.subsets.length, n }));
      return { threshold, value, to, count: total(pairs.map((one) => one.n)), moves: pairs.sort((a, b) => b.n - a.n) };
    }) ?? null;
  }

  /** The drawn cell of each point for two axes by their place, `up` null for one axis: `[upward * width + rightward]`. */
  places(right, up) {
    const key = `${right} ${up}`;
    if (this.cellPlaces?.key !== key) {
      const width = this.axes[right].high - this.axes[right].low + 1;
      const height = up === null ? 1 : this.axes[up].high - this.axes[up].low + 1;
      const of = Uint32Array.from(this.at[right], (x, i) => (up === null ? 0 : this.at[up][i]) * width + x);
      this.cellPlaces = { key, width, height, of };
    }
    return this.cellPlaces;
  }

  /**
   * Per drawn cell how many samples it holds (`n`), of which subset (`by`, cell * subsets + subset), which leads (`subset`,
   * that of the rules where no sample is), and which the rules alone say (`rules`).
   */
  map(codes, right, up, category = null) {
    const { width, height, of } = this.places(right, up);
    const [cells, wide] = [width * height, this.subsets.length];
    const n = new Float64Array(cells);
    const by = new Float64Array(cells * wide);
    const { point, category: categories, n: counts, code } = codes ? this.cells : this.assignment;
    counts.forEach((count, i) => {
      if (category !== null && categories[i] !== category) return;
      n[of[point[i]]] += count;
      by[of[point[i]] * wide + (codes ? codes[point[i]] : code[i])] += count;
    });
    const leader = (numbers, cell) => {
      let best = -1;
      for (let k = 0; k < wide; k++) if (numbers[cell * wide + k] > (best < 0 ? 0 : numbers[cell * wide + best])) best = k;
      return best;
    };
    const votes = new Float64Array(cells * wide);
    const rule = codes ?? this.codes;
    if (rule) for (const point of this.grid ?? of.keys()) votes[of[point] * wide + rule[point]] += 1;
    const subset = Int16Array.from(n, (count, cell) => leader(count ? by : votes, cell));
    const alone = rule && this.grid && this.at.length <= (up === null ? 1 : 2); // no axis is left out: a cell has one rule
    return { n, by, subset, rules: alone ? Int16Array.from(n, (_, cell) => leader(votes, cell)) : subset, width, height };
  }
}
