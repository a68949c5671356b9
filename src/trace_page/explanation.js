// The explanation of a number: the sum that makes it with the numbers put in, and its uses.

/** The most operands and uses that are written out. */
const WRITTEN = 24;

/** The numbers of a matrix that has no places. */
function plain(of) {
  if (!known(of)) return summary(of);
  if (of.rows > TABLE.rows || of.cols > TABLE.cols) return plainImage(of);
  const text = format(of.values);
  const rows = range(of.rows).map((i) => {
    const cells = range(of.cols).map((k) => el("td", {}, text(entry(of, i, k))));
    return el("tr", {}, cells);
  });
  return el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, rows)));
}

/** A sum with its numbers put in; below each number stands its symbol. */
function written(board, tokens, result) {
  const { pass, data } = board;
  const node = el("div", { class: "sum" });
  let count = 0;
  let left = 0;
  tokens.forEach((token) => {
    if (token.place) count += 1;
    if (count > WRITTEN) {
      left += token.place ? 1 : 0;
      return;
    }
    if (!token.place) {
      node.append(el("span", { class: "text" }, token));
      return;
    }
    const value = pass.value(token.place);
    const shown = value < 0 ? `(${single(value)})` : single(value);
    node.append(
      el(
        "span",
        { class: "term", "data-place": token.place },
        el("span", {}, shown),
        el("small", {}, symbolOf(data, token.place)),
      ),
    );
  });
  if (left) node.append(el("span", { class: "text" }, ` … and ${left} more numbers`));
  if (result !== undefined)
    node.append(el("span", { class: "text result" }, ` = ${single(result)}`));
  return node;
}

/** How the slope of the activation cancels in δ of an output, step by step. */
function cancellation(board, { i, k }) {
  const { pass } = board;
  const { last, data } = pass;
  if (!pass.pair || !pass.ways.includes("slope")) return [];
  const [a, y, u, g] = ["a", "y", "u", "slope"].map((what) => ({ place: place(what, last, i, k) }));
  const value = (of) => pass.value(of.place);
  const w = pass.w(k);
  const [x, t] = [value(a), value(y)];
  const steps = {
    BinaryCrossEntropy: [
      [["∂cost/∂a = (", a, " − ", y, ") / (", a, " · (1 − ", a, "))"], (x - t) / (x * (1 - x))],
      [["g′(z) = ", a, " · (1 − ", a, ")"], x * (1 - x)],
      [["the product: ", a, " − ", y], x - t],
    ],
    CategoricalCrossEntropy: [
      [["∂cost/∂a = − ", y, " / ", a], t === 0 ? 0 : -t / x],
      [
        ["Σ a · ∂cost/∂a = − Σ y"],
        -range(data.y.rows).reduce((all, r) => all + entry(data.y, r, k), 0),
      ],
      [
        ["a (∂cost/∂a + Σ y) = ", a, " · Σ y − ", y],
        x * range(data.y.rows).reduce((all, r) => all + entry(data.y, r, k), 0) - t,
      ],
    ],
    SquaredError: [
      [["∂cost/∂a = ", a, " − ", y], x - t],
      [["g′(z)"], 1],
      [["the product: ", a, " − ", y], x - t],
    ],
    Poisson: [
      [["∂cost/∂a = 1 − ", y, " / ", a], 1 - t / x],
      [["g′(z) = ", a], x],
      [["the product: ", a, " − ", y], x - t],
    ],
  }[data.cost.name];
  const lost =
    !Number.isFinite(value(u)) ||
    (data.cost.name !== "CategoricalCrossEntropy" && !Number.isFinite(value(g)));
  return [
    el("h3", {}, "Why a − y"),
    ...steps.map(([tokens, result]) => written(board, tokens, result)),
    w === 1 ? undefined : el("p", {}, `Times the weight of the example, ${w}.`),
    lost
      ? el("p", {}, "∂cost/∂a is not a finite number here. The crate computes δ without it.")
      : undefined,
  ].filter(Boolean);
}

/** The central difference beside an entry of D. */
function beside(board, { n, i, k }) {
  const central = board.pass.central(n, i, k);
  if (!central) return [];
  const { numeric, relative, verdict } = central;
  return [
    el(
      "p",
      { class: `verdict ${verdict === "wrong" ? "wrong" : ""}` },
      "Central difference of J: ",
      el("span", { class: "number", "data-value": numeric }, signed(numeric.toPrecision(10))),
      `, relative error ${signed(relative.toExponential(1))}: ${verdict}.`,
    ),
  ];
}

/** The nodes that explain a number. */
function explanation(board, of) {
  const { pass, data } = board;
  const at = parts(of);
  const { tokens, value, given } = pass.explain(of);
  const shown = pass.value(of);
  const nodes = [
    el(
      "h2",
      {},
      el("span", {}, symbolOf(data, of)),
      " = ",
      el(
        "span",
        {
          class: "number",
          "data-value": shown,
        },
        Number.isFinite(shown) ? signed(String(Number(shown.toPrecision(12)))) : "not in the page",
      ),
    ),
  ];
  if (!given && tokens.length) nodes.push(written(board, tokens, value));
  const inputs = { a: at.n === 1 ? "An input." : undefined, theta: "A parameter.", y: "A target." };
  if (given || tokens.length === 0) {
    nodes.push(
      el(
        "p",
        {},
        inputs[at.what] ??
          "The value of the trace: a layer computes it " +
            "whose formula the page does not know, or its operands are too many for the page.",
      ),
    );
  }
  if (at.what === "delta" && at.n === pass.last) nodes.push(...cancellation(board, at));
  if (at.what === "d") nodes.push(...beside(board, at));
  if (pass.differs(of)) {
    const traced = {
      z: () => entry(pass.layer(at.n).z, at.i, at.k),
      delta: () => entry(pass.layer(at.n).delta, at.i, at.k),
      sum: () => entry(data.blocks[at.n].sum, at.i, at.k),
      d: () => entry(data.blocks[at.n].d, at.i, at.k),
    }[at.what]();
    nodes.push(
      el(
        "p",
        { class: "verdict wrong" },
        `Wrong: the trace has ${single(traced)}, the sum ` + `gives ${single(value)}.`,
      ),
    );
  }
  const users = pass.uses(of);
  if (users.length) {
    nodes.push(
      el("h3", {}, "Goes into"),
      el(
        "div",
        { class: "chips" },
        users.slice(0, WRITTEN).map((user) => board.chip(user)),
        users.length > WRITTEN ? ` and ${users.length - WRITTEN} more` : "",
      ),
    );
  }
  return nodes;
}
