// Counting from the cube: what every subset holds under any policy at any thresholds. No page, no drawing.

export const SCALE = 11;
export const LOWEST = -1;
export const HIGHEST = 11;

/** The rules of `selection/rules.py`: a pair of scores to a place in `subsets`. */
export const POLICIES = {
  paper: {
    subsets: ["sensibility", "rationality", "discard"],
    place: (s, r, alpha, beta) => (r > beta ? 1 : s > alpha && r < beta ? 0 : 2),
    words: (alpha, beta) => `rationality if R > ${beta}; else sensibility if S > ${alpha} and R < ${beta}; else discard`,
  },
  exclusive: {
    subsets: ["sensibility", "rationality", "discard"],
    place: (s, r, alpha, beta) => (s > alpha && r < beta ? 0 : r > beta && s < alpha ? 1 : 2),
    words: (alpha, beta) =>
      `sensibility if S > ${alpha} and R < ${beta}; rationality if R > ${beta} and S < ${alpha}; else discard`,
  },
  both: {
    subsets: ["sensibility", "rationality", "both", "discard"],
    place: (s, r, alpha, beta) => (s > alpha ? (r > beta ? 2 : 0) : r > beta ? 1 : 3),
    words: (alpha, beta) =>
      `both if S > ${alpha} and R > ${beta}; else sensibility if S > ${alpha}; ` +
      `else rationality if R > ${beta}; else discard`,
  },
};

export const clampThreshold = (value) => Math.min(HIGHEST, Math.max(LOWEST, value));

/** The 121 cells of whole scores, `[11 * s + r]`: each one's place in the policy's subsets. */
export function wholeCells({ policy, alpha, beta }) {
  const { place } = POLICIES[policy];
  return Uint8Array.from({ length: SCALE * SCALE }, (_, i) => place(Math.floor(i / SCALE), i % SCALE, alpha, beta));
}

/** Counts as whole numbers with the same sum, by largest remainder: what `select` makes of expected counts. */
export function wholeCounts(counts) {
  const found = counts.map(Math.floor);
  const missing = Math.round(counts.reduce((a, b) => a + b, 0)) - found.reduce((a, b) => a + b, 0);
  const order = counts.map((n, k) => [n - Math.floor(n), k]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (const [, k] of order.slice(0, missing)) found[k] += 1;
  return found;
}

export class Cube {
  /** `told` is what `/api/lab/cube` says. */
  constructor(told) {
    this.kind = told.kind;
    this.levels = told.levels;
    this.categories = told.categories;
    this.unscored = told.unscored.map((reasons) => Object.values(reasons).reduce((a, b) => a + b, 0));
    const { category, s, r, n } = told.cells;
    const wide = this.levels.length;
    this.category = Uint32Array.from(category);
    this.at = Uint32Array.from(s, (level, i) => level * wide + r[i]);
    this.n = Float64Array.from(n);
    this.shownAt = Uint8Array.from(this.at, (at) => {
      return SCALE * told.nearest[Math.floor(at / wide)] + told.nearest[at % wide];
    });
    this.sums = new Map();
    this.scored = new Float64Array(this.categories.length);
    this.n.forEach((count, i) => (this.scored[this.category[i]] += count));
  }

  /** Whether counts are expectations, which need not be whole. */
  get expected() {
    return this.kind === "expected";
  }

  /** Samples with scores, and without: of one category, or of all where it is null. */
  samples(category = null) {
    if (category !== null) return { scored: this.scored[category], unscored: this.unscored[category] };
    const sum = (counts) => counts.reduce((a, b) => a + b, 0);
    return { scored: sum(this.scored), unscored: sum(this.unscored) };
  }

  /** The subset of every pair of levels. */
  places({ policy, alpha, beta }) {
    const { place } = POLICIES[policy];
    const wide = this.levels.length;
    const found = new Uint8Array(wide * wide);
    for (let s = 0; s < wide; s++) {
      for (let r = 0; r < wide; r++) found[s * wide + r] = place(this.levels[s], this.levels[r], alpha, beta);
    }
    return found;
  }

  /** Counts of every category: `[category * subsets + subset]`. */
  byCategory(choice) {
    const places = this.places(choice);
    const subsets = POLICIES[choice.policy].subsets.length;
    const counts = new Float64Array(this.categories.length * subsets);
    for (let i = 0; i < this.n.length; i++) counts[this.category[i] * subsets + places[this.at[i]]] += this.n[i];
    return counts;
  }

  /** Counts by subset, of one category or of all; whole numbers, as `select` counts. */
  sizes(choice, category = null) {
    return wholeCounts(this.rawSizes(choice, category));
  }

  rawSizes({ policy, alpha, beta }, category = null) {
    const { place, subsets } = POLICIES[policy];
    const counts = new Array(subsets.length).fill(0);
    for (const [s, r, n] of this.cellsOf(category)) counts[place(s, r, alpha, beta)] += n;
    return counts;
  }

  /** `[s, r, n, shown]` of the pairs of levels that are not empty; `shown` is the whole cell they are drawn in. */
  cellsOf(category = null) {
    if (!this.sums.has(category)) this.sums.set(category, this.sumCells(category));
    return this.sums.get(category);
  }

  sumCells(category) {
    const wide = this.levels.length;
    const found = new Map();
    for (let i = 0; i < this.n.length; i++) {
      if (category !== null && this.category[i] !== category) continue;
      const at = this.at[i];
      const cell = found.get(at) ?? [this.levels[Math.floor(at / wide)], this.levels[at % wide], 0, this.shownAt[i]];
      cell[2] += this.n[i];
      found.set(at, cell);
    }
    return [...found.values()];
  }

  /** Counts of the 121 cells that are drawn. */
  shown(category = null) {
    const counts = new Float64Array(SCALE * SCALE);
    for (const [, , n, cell] of this.cellsOf(category)) counts[cell] += n;
    return counts;
  }

  /** What one drawn cell holds of each subset: more than one where scores lie between whole ones. */
  within(shown, { policy, alpha, beta }, category = null) {
    const { place, subsets } = POLICIES[policy];
    const counts = new Array(subsets.length).fill(0);
    for (const [s, r, n, cell] of this.cellsOf(category)) if (cell === shown) counts[place(s, r, alpha, beta)] += n;
    return counts;
  }

  /** Sizes along one threshold, the other as it is: `[{ value, sizes }]`, from lowest to highest. */
  curve(choice, threshold, step = 1, category = null) {
    const found = [];
    for (let value = LOWEST; value <= HIGHEST; value += step) {
      found.push({ value, sizes: this.rawSizes({ ...choice, [threshold]: value }, category) });
    }
    return found;
  }

  /** What changes subset when one threshold moves by one: `moves` by pair of subsets, with the drawn `cells` of each. */
  flips(choice, category = null) {
    const { place, subsets } = POLICIES[choice.policy];
    return ["alpha", "beta"].flatMap((threshold) =>
      [-1, 1].map((step) => {
        const to = clampThreshold(choice[threshold] + step);
        const moved = { ...choice, [threshold]: to };
        const moves = new Map();
        for (const [s, r, n, cell] of this.cellsOf(category)) {
          const before = place(s, r, choice.alpha, choice.beta);
          const after = place(s, r, moved.alpha, moved.beta);
          if (before === after) continue;
          const key = before * subsets.length + after;
          if (!moves.has(key)) moves.set(key, { from: subsets[before], to: subsets[after], n: 0, cells: [] });
          const move = moves.get(key);
          move.n += n;
          move.cells.push(cell);
        }
        const told = [...moves.values()].sort((a, b) => b.n - a.n);
        const count = told.reduce((sum, move) => sum + move.n, 0);
        return { threshold, from: choice[threshold], to, count, moves: told };
      }),
    );
  }
}
