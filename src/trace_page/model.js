// The numbers of the page: what a pass computes from the page's data under the chosen switches, and
// the sum behind each number. Nothing here touches the document.

/** One pass under some switches. */
class Pass {
  constructor(data, switches) {
    this.data = data;
    this.switches = { ...AS_TRACED, ...switches };
    this.last = data.layers.length + 1;
    const m = data.x.cols;
    const { examples, k } = this.switches;
    this.shown = range(m).filter(
      (e) => examples === "all" || (examples === "one" ? e === k : e <= k),
    );
    this.weight =
      examples === "all" ? data.weight : this.shown.reduce((sum, e) => sum + this.w(e), 0);
    this.computed = new Map();
    this.followDelta();
  }

  /** The weight of an example. */
  w(k) {
    return this.data.weights ? this.data.weights[k] : 1;
  }

  /** Layer n by the course's number, from 2. */
  layer(n) {
    return this.data.layers[n - 2];
  }

  /** The block of a dense layer n. */
  block(n) {
    const layer = this.layer(n);
    return layer?.dense ? this.data.blocks[layer.blocks[0]] : undefined;
  }

  /** The activations of layer n; those of layer 1 are the inputs. */
  activations(n) {
    return n === 1 ? this.data.x : this.layer(n)?.a;
  }

  /** Whether the sums of dense layer n can be computed from the data. */
  open(n) {
    const layer = this.layer(n);
    return Boolean(layer?.dense && known(layer.delta) && known(this.activations(n - 1)));
  }

  /** Whether D is as the crate has computed it. */
  get traced() {
    const { examples, mean, lambda, bias, delta } = this.switches;
    return examples === "all" && mean && lambda && !bias && delta === "traced";
  }

  /** Whether the last layer and the cost are a canonical pair that the page knows. */
  get pair() {
    const { cost } = this.data;
    const last = this.layer(this.last);
    return cost.linked && last.dense && COSTS[cost.name]?.link === last.g;
  }

  /** The ways in which the page can compute the last δ. */
  get ways() {
    const last = this.layer(this.last);
    const { cost, y } = this.data;
    const ways = ["traced"];
    if (!last.dense || !known(last.delta)) return ways;
    if (known(cost.slope) && (known(last.slope) || last.g === "Softmax")) ways.push("slope");
    if (known(last.a) && known(y) && last.a.rows === y.rows) ways.push("error");
    return ways;
  }

  /** Computes δ of the last layer in the chosen way, and from it those below. */
  followDelta() {
    this.moved = new Map();
    if (this.switches.delta === "traced") return;
    for (let n = this.last; n >= 2; n -= 1) {
      const layer = this.layer(n);
      const follows = n === this.last || this.recurs(n);
      if (!follows || !known(layer.delta)) return;
      const { rows, cols } = layer.delta;
      const values = [];
      for (let k = 0; k < cols; k += 1) {
        for (let i = 0; i < rows; i += 1) values.push(this.explain(place("delta", n, i, k)).value);
      }
      this.moved.set(n, { rows, cols, values });
    }
  }

  /** Whether δ of layer n follows from that of the dense layer above it. */
  recurs(n) {
    const layer = this.layer(n);
    const above = this.layer(n + 1);
    const slopes = known(layer?.slope) || layer?.g === "Softmax";
    return Boolean(
      layer?.dense &&
      above?.dense &&
      slopes &&
      known(above.delta) &&
      known(this.block(n + 1).theta),
    );
  }

  /** The penalised part of an entry of a block: λ₁ sign Θ + λ₂ Θ. */
  pull(b, j) {
    const { l1, l2, exempt, frozen } = this.data.blocks[b];
    const { lambda, bias } = this.switches;
    const counts = lambda && !frozen && (j >= exempt || bias);
    return counts ? { l1, l2 } : { l1: 0, l2: 0 };
  }

  /** The value at a place. */
  value(of) {
    const { what, n, i, k } = parts(of);
    const { data } = this;
    switch (what) {
      case "one":
        return 1;
      case "w":
        return this.w(k);
      case "a":
        return entry(this.activations(n), i, k);
      case "z":
        return entry(this.layer(n).z, i, k);
      case "slope":
        return entry(this.layer(n).slope, i, k);
      case "delta":
        return entry(this.moved.get(n) ?? this.layer(n).delta, i, k);
      case "u":
        return entry(data.cost.slope, i, k);
      case "y":
        return this.missing(i, k) ? NaN : entry(data.y, i, k);
      case "cost":
        return entry(data.costs, 0, k);
      case "theta":
        return entry(data.blocks[n].theta, i, k);
      case "central":
        return this.central(n, i, k)?.numeric ?? NaN;
      default:
        return this.result(of);
    }
  }

  /** Whether a target is missing. */
  missing(i, k) {
    const { present, y } = this.data;
    return present ? !present[i + y.rows * k] : false;
  }

  /** A value that the page computes: an entry of Δ or D. */
  result(of) {
    if (!this.computed.has(of)) this.computed.set(of, this.explain(of).value);
    return this.computed.get(of);
  }

  /** The layer of a dense block whose sums the page can compute, as the course's number. */
  above(b) {
    const n = this.data.blocks[b].dense;
    return n && this.open(n) ? n : undefined;
  }

  /** The place that entry j of [1; a] of layer n has for an example. */
  input(n, j, k) {
    const bias = this.block(n).exempt;
    return j < bias ? place("one", n - 1, 0, k) : place("a", n - 1, j - bias, k);
  }

  /** Adds products of places: tokens, the value, and the sum of the magnitudes. */
  sumOf(products) {
    const tokens = [];
    let value = 0;
    let size = 0;
    products.forEach((factors, t) => {
      const product = factors.reduce((all, factor) => all * this.value(factor), 1);
      value += product;
      size += Math.abs(product);
      if (t > 0) tokens.push(" + ");
      factors.forEach((factor, f) => {
        if (f > 0) tokens.push(" · ");
        tokens.push({ place: factor });
      });
    });
    if (products.length === 0) tokens.push("0");
    return { tokens, value, size };
  }

  /** The sum that makes a number: tokens (text, or places to put in), and its value. */
  explain(of) {
    const at = parts(of);
    const made = this[`explain_${at.what}`]?.(at, of);
    return made ?? { tokens: [], value: this.value(of), given: true };
  }

  explain_z({ n, i, k }) {
    if (!this.layer(n).dense || !known(this.activations(n - 1))) return undefined;
    const { number, cols } = this.block(n);
    const products = range(cols).map((j) => [place("theta", number, i, j), this.input(n, j, k)]);
    return this.sumOf(products);
  }

  explain_a({ n, i, k }, of) {
    const layer = n > 1 ? this.layer(n) : undefined;
    if (!layer?.dense) return undefined;
    const value = this.value(of);
    if (layer.g !== "Softmax") {
      return { tokens: ["g(", { place: place("z", n, i, k) }, ")"], value };
    }
    const below = range(layer.a.rows).flatMap((r) => [
      r ? " + e^" : "e^",
      { place: place("z", n, r, k) },
    ]);
    return { tokens: ["e^", { place: place("z", n, i, k) }, " / (", ...below, ")"], value };
  }

  explain_slope({ n, i, k }, of) {
    const a = { place: place("a", n, i, k) };
    const value = this.value(of);
    if (this.layer(n).g === "Sigmoid") return { tokens: [a, " · (1 − ", a, ")"], value };
    if (this.layer(n).g === "Tanh") return { tokens: ["1 − ", a, "²"], value };
    return { tokens: ["g′(", { place: place("z", n, i, k) }, ")"], value };
  }

  explain_cost({ k }, of) {
    const { cost, y } = this.data;
    const value = this.value(of);
    const a = (i) => ({ place: place("a", this.last, i, k) });
    const target = (i) => ({ place: place("y", this.last, i, k) });
    if (y.rows !== this.activations(this.last).rows) return undefined;
    const term = {
      BinaryCrossEntropy: (i) => [
        "− ",
        target(i),
        " · ln ",
        a(i),
        " − (1 − ",
        target(i),
        ") · ln(1 − ",
        a(i),
        ")",
      ],
      CategoricalCrossEntropy: (i) => ["− ", target(i), " · ln ", a(i)],
      SquaredError: (i) => ["½ (", a(i), " − ", target(i), ")²"],
      Poisson: (i) => [a(i), " − ", target(i), " · ln ", a(i)],
    }[cost.name];
    if (!term) return undefined;
    const units = range(y.rows).filter((i) => !this.missing(i, k));
    return { tokens: units.flatMap((i, t) => (t ? ["  +  ", ...term(i)] : term(i))), value };
  }

  explain_delta({ n, i, k }) {
    if (n < this.last) return this.recurs(n) ? this.recurrence(n, i, k) : undefined;
    if (this.missing(i, k)) return { tokens: ["the target is missing: 0"], value: 0, size: 0 };
    const way = this.switches.delta;
    if (way === "error" || (way === "traced" && this.pair)) return this.error(i, k, way);
    if (way === "slope" || this.ways.includes("slope")) return this.throughSlope(n, i, k);
    return undefined;
  }

  /** w (a − y), for a softmax with its cost w (a Σy − y). */
  error(i, k, way) {
    const { weights, cost, y } = this.data;
    const a = this.value(place("a", this.last, i, k));
    const target = this.value(place("y", this.last, i, k));
    const sum = range(y.rows).reduce((all, r) => all + entry(y, r, k), 0);
    const ofSum = way === "traced" && cost.name === "CategoricalCrossEntropy" && sum !== 1;
    const value = this.w(k) * (a * (ofSum ? sum : 1) - target);
    const tokens = [
      { place: place("a", this.last, i, k) },
      ...(ofSum ? [` · ${sum}`] : []),
      " − ",
      { place: place("y", this.last, i, k) },
    ];
    const size = this.w(k) * (Math.abs(a) + Math.abs(target));
    if (!weights) return { tokens, value, size };
    return { tokens: [{ place: place("w", 0, 0, k) }, " · (", ...tokens, ")"], value, size };
  }

  /** ∂cost/∂a · g′(z), or for a softmax a (u − Σ a u). */
  throughSlope(n, i, k) {
    if (this.layer(n).g !== "Softmax") {
      return this.sumOf([[place("u", n, i, k), place("slope", n, i, k)]]);
    }
    const own = this.value(place("u", n, i, k));
    const all = this.sumOf(
      range(this.layer(n).a.rows).map((r) => [place("a", n, r, k), place("u", n, r, k)]),
    );
    const a = place("a", n, i, k);
    const tokens = [
      { place: a },
      " · (",
      { place: place("u", n, i, k) },
      " − (",
      ...all.tokens,
      "))",
    ];
    const size = Math.abs(this.value(a)) * (Math.abs(own) + all.size);
    return { tokens, value: this.value(a) * (own - all.value), size };
  }

  /** δ from the layer above: (Wᵀ δ) ∘ g′(z). */
  recurrence(n, i, k) {
    const { number, exempt, rows } = this.block(n + 1);
    const back = (unit) =>
      this.sumOf(
        range(rows).map((r) => [
          place("theta", number, r, unit + exempt),
          place("delta", n + 1, r, k),
        ]),
      );
    const own = back(i);
    if (this.layer(n).g !== "Softmax") {
      const slope = place("slope", n, i, k);
      const g = this.value(slope);
      return {
        tokens: ["(", ...own.tokens, ") · ", { place: slope }],
        value: own.value * g,
        size: Math.abs(g) * own.size,
      };
    }
    const a = (r) => this.value(place("a", n, r, k));
    const all = range(this.layer(n).a.rows).map((r) => ({ a: a(r), ...back(r) }));
    const mean = all.reduce((sum, { a: of, value }) => sum + of * value, 0);
    const size = all.reduce((sum, { a: of, size: s }) => sum + of * s, own.size);
    const tokens = [{ place: place("a", n, i, k) }, " · ((", ...own.tokens, ") − Σ a · Wᵀδ)"];
    return { tokens, value: a(i) * (own.value - mean), size: a(i) * size };
  }

  explain_sum({ n: b, i, k: j }) {
    const { frozen, sum } = this.data.blocks[b];
    const n = this.above(b);
    if (frozen) return { tokens: ["the block is frozen: 0"], value: 0, size: 0 };
    if (n === undefined) {
      const value = this.switches.examples === "all" ? entry(sum, i, j) : NaN;
      return { tokens: [], value, given: true };
    }
    return this.sumOf(this.shown.map((k) => [place("delta", n, i, k), this.input(n, j, k)]));
  }

  explain_d({ n: b, i, k: j }) {
    const { frozen } = this.data.blocks[b];
    if (frozen) return { tokens: ["the block is frozen: 0"], value: 0, size: 0 };
    const { l1, l2 } = this.pull(b, j);
    const theta = place("theta", b, i, j);
    const of = place("sum", b, i, j);
    const sum = this.explain(of);
    const tokens = [{ place: of }];
    let { value } = sum;
    let size = sum.size ?? Math.abs(value);
    const add = (text, term) => {
      tokens.push(...text, { place: theta });
      value += term;
      size += Math.abs(term);
    };
    if (l1) add([` + ${l1} · sign `], l1 * Math.sign(this.value(theta)));
    if (l2) add([` + ${l2} · `], l2 * this.value(theta));
    if (!this.switches.mean) return { tokens, value, size };
    const divided = tokens.length > 1 ? ["(", ...tokens, ")"] : tokens;
    return {
      tokens: [...divided, ` / ${this.weight}`],
      value: value / this.weight,
      size: size / this.weight,
    };
  }

  /** The entry of θ with an index in the unrolled vector, as a place of D. */
  unrolled(p) {
    const block = this.data.blocks.find(
      ({ start, rows, cols }) => p >= start && p < start + rows * cols,
    );
    if (!block) return undefined;
    const { number, start, rows } = block;
    return place("d", number, (p - start) % rows, Math.floor((p - start) / rows));
  }

  /** J under the switches: its data term, its penalty, and their sum. */
  objective() {
    const { blocks, costs } = this.data;
    const divisor = this.switches.mean ? this.weight : 1;
    const data = this.shown.reduce((all, k) => all + this.w(k) * entry(costs, 0, k), 0);
    let penalty = 0;
    blocks.forEach(({ number, rows, cols, theta }) => {
      for (let j = 0; j < cols; j += 1) {
        const { l1, l2 } = this.pull(number, j);
        if (!l1 && !l2) continue;
        for (let i = 0; i < rows; i += 1) {
          const of = entry(theta, i, j);
          penalty += l1 * Math.abs(of) + 0.5 * l2 * of * of;
        }
      }
    });
    return { data: data / divisor, penalty: penalty / divisor, total: (data + penalty) / divisor };
  }

  /** The places that the sum of a number uses. */
  operands(of) {
    const { tokens } = this.explain(of);
    return [...new Set(tokens.filter((t) => t.place).map((t) => t.place))];
  }

  /** The places whose sums use a number. */
  uses(of) {
    return candidates(this, parts(of)).filter((user) => this.operands(user).includes(of));
  }

  /** Whether a number of the trace differs from the sum that the page computes by more than the
      rounding of that sum. */
  differs(of) {
    const { what, n, i, k } = parts(of);
    const traced = {
      z: () => entry(this.layer(n).z, i, k),
      delta: () => entry(this.layer(n).delta, i, k),
      sum: () => entry(this.data.blocks[n].sum, i, k),
      d: () => entry(this.data.blocks[n].d, i, k),
    }[what];
    if (!traced || (this.switches.delta !== "traced" && what === "delta")) return false;
    if (!this.traced && (what === "sum" || what === "d")) return false;
    const { value, size, given } = this.explain(of);
    if (given && what !== "d") return false;
    const bound = 256 * this.data.epsilon * (size + Math.abs(traced()));
    const known = !Number.isNaN(traced()) && !Number.isNaN(value);
    return known && !(Math.abs(value - traced()) <= bound);
  }

  /** The central difference of an entry of D, if the report has it, with the verdict on the D of
      this pass. */
  central(b, i, j) {
    const { check, rows } = this.data.blocks[b];
    const at = check?.entries ? check.entries.indexOf(i + rows * j) : -1;
    if (at < 0) return undefined;
    const numeric = check.numeric[at];
    const d = this.value(place("d", b, i, j));
    const difference = Math.abs(d - numeric);
    const total = Math.abs(d) + Math.abs(numeric);
    const agrees = difference <= check.bound[at];
    // A comparison that the report leaves open stays open while D is as traced.
    const traced = entry(this.data.blocks[b].d, i, j);
    const same = this.traced && !this.differs(place("d", b, i, j)) && traced === traced;
    const verdict = same ? check.verdicts[at] : agrees ? "agrees" : "wrong";
    return { numeric, difference, relative: total === 0 ? 0 : difference / total, verdict };
  }
}
