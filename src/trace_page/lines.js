// The lines of a pass in their order: formula, shapes, words, and the step of the derivation.

/** Escapes a text for markup. */
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// Small builders of MathML.
const mo = (text) => `<mo>${text}</mo>`;
const mi = (text) =>
  `<mi mathvariant="${/^[a-zA-Zα-ωδ]$/.test(text) ? "italic" : "normal"}">${escaped(text)}</mi>`;
const mn = (text) => `<mn>${text}</mn>`;
const row = (...items) => `<mrow>${items.join("")}</mrow>`;
const paren = (content) => row(mo("("), content, mo(")"));
/** A symbol with the number of its layer above, its shape below, and a mark after the number. */
function symbol(name, n, shape, after = "") {
  const raised =
    n === undefined
      ? mi(name)
      : `<msup>${mi(name)}${row(
          '<mo stretchy="false">(</mo>',
          mn(n),
          '<mo stretchy="false">)</mo>',
          after,
        )}</msup>`;
  return shape ? `<munder>${raised}<mtext class="shape">${shape}</mtext></munder>` : raised;
}
const transposed = (content) => `<msup>${content}<mo>⊤</mo></msup>`;
/** g′(z). */
const slopeAt = (z) => row(mi("g"), '<mo lspace="0" rspace="0">′</mo>', paren(z));
const fraction = (above, below) => `<mfrac>${row(above)}${row(below)}</mfrac>`;
const math = (...items) => `<math displaystyle="true">${row(...items)}</math>`;
/** The column [1; a]. */
const withOne = (a) => row(mo("["), mn(1), mo(";"), a, mo("]"));
const shapeOf = ({ rows, cols }) => `${rows} × ${cols}`;

/** What the examples are divided by. */
const divisor = (data) => (data.weights ? row(mo("Σ"), mi("w")) : mi("m"));

/** The formula of D of a block, with its strengths of the penalty. */
function formulaOfD(data, block, d, sum, theta) {
  const { l1, l2 } = block;
  const terms = [sum];
  if (l1) terms.push(mo("+"), `<msub>${mi("λ")}${mn(1)}</msub>`, mo("sign"), theta);
  if (l2) terms.push(mo("+"), l1 ? `<msub>${mi("λ")}${mn(2)}</msub>` : mi("λ"), theta);
  return math(d, mo("="), fraction(row(...terms), divisor(data)));
}

/** The words for λ of a block. */
function strength({ l1, l2, exempt, frozen }) {
  if (frozen) return "This block is frozen: its entries in ∇J are 0.";
  const named = [l1 && `${l2 ? "λ₁" : "λ"} = ${l1}`, l2 && `${l1 ? "λ₂" : "λ"} = ${l2}`];
  const found = named.filter(Boolean).join(", ");
  if (!found) return "There is no penalty on this block (λ = 0).";
  const but = exempt
    ? ", but not to column 0, the biases: they shift the units without " + "steepening them"
    : "";
  return (
    `${found}. The penalty adds its slope to each entry${but}. The factor 1/m comes once, at ` +
    "the end, for the costs and the penalty alike."
  );
}

/** The equation of the last δ, and its words. */
function outputError(pass) {
  const { data, last } = pass;
  const layer = pass.layer(last);
  const [delta, a, z] = ["δ", "a", "z"].map((name) =>
    symbol(name, last, layer.delta && shapeOf(layer.delta)),
  );
  const way = pass.switches.delta;
  const w = data.weights ? [mi("w"), mo("∘")] : [];
  const slope = [
    delta,
    mo("="),
    ...w,
    fraction(row(mo("∂"), mi("cost")), row(mo("∂"), a)),
    mo("∘"),
    slopeAt(z),
  ];
  if (way === "error" || (way === "traced" && pass.pair)) {
    const equation = pass.pair ? COSTS[data.cost.name].equation : ["12", "output-error-general"];
    return {
      formula: math(
        delta,
        mo("="),
        ...w,
        paren(row(a, mo("−"), symbol("y", undefined, shapeOf(data.y)))),
      ),
      equation,
      why: pass.pair
        ? `The answer minus the truth. ${layer.g} and ${data.cost.name} are a canonical pair: ` +
          "the slope of the activation cancels that of the cost. So δ is large wherever the " +
          "answer is wrong, even where the unit is flat."
        : "The answer minus the truth, without the slope of the activation.",
    };
  }
  if (layer.g === "Softmax") {
    return {
      formula: math(
        delta,
        mo("="),
        transposed(mi("G")),
        fraction(row(...w, mo("∂"), mi("cost")), row(mo("∂"), a)),
        mo(","),
        mi("G"),
        mo("="),
        fraction(row(mo("∂"), a), row(mo("∂"), z)),
      ),
      equation: ["12", "output-error-general"],
      why:
        "Each output of a softmax " +
        "depends on every z, so the slopes of the cost are mixed by the matrix G.",
    };
  }
  return {
    formula: layer.dense
      ? math(...slope)
      : math(delta, mo("="), ...w, fraction(row(mo("∂"), mi("cost")), row(mo("∂"), z))),
    equation: ["12", "output-error-general"],
    why:
      "How much would the cost grow if this z grew a " +
      "little? The chain rule: the slope of the cost times the slope of the activation.",
  };
}

/** The lines of the forward pass of layer n. */
function forwardLines(pass, n) {
  const { data } = pass;
  const layer = pass.layer(n);
  const below = pass.activations(n - 1);
  const lines = layer.blocks.map((b) => {
    const block = data.blocks[b];
    return {
      key: `theta.${b}`,
      what: "theta",
      n: b,
      of: block,
      title: `Parameters ${block.label}`,
      formula: math(
        layer.dense ? symbol("Θ", n - 1, shapeOf(block)) : `<mtext>${escaped(block.label)}</mtext>`,
      ),
      why: layer.dense
        ? `Row i holds the wires into unit i: ${
            block.exempt ? "column 0 its bias, and column j" : "column j"
          } the weight of the wire from ` + "unit j."
        : `The parameters of the layer ${layer.name}.`,
    };
  });
  if (layer.z) {
    const block = pass.block(n);
    lines.push({
      key: `z.${n}`,
      what: "z",
      n,
      of: layer.z,
      title: `Sums of layer ${n}`,
      formula: layer.dense
        ? math(
            symbol("z", n, shapeOf(layer.z)),
            mo("="),
            symbol("Θ", n - 1, shapeOf(block)),
            block.exempt
              ? withOne(symbol("a", n - 1, shapeOf(below)))
              : symbol("a", n - 1, shapeOf(below)),
          )
        : math(symbol("z", n, shapeOf(layer.z))),
      equation: layer.dense ? ["2", "pre-activation"] : undefined,
      why: layer.dense
        ? "Each unit adds what its wires carry: the activation at the start of a " +
          "wire times its weight. The bias is a wire from a unit that is always 1."
        : `The layer ${layer.name} computes it.`,
    });
  }
  lines.push({
    key: `a.${n}`,
    what: "a",
    n,
    of: layer.a,
    title: n === pass.last ? `Outputs, layer ${n}` : `Activations of layer ${n}`,
    formula: layer.z
      ? math(symbol("a", n, shapeOf(layer.a)), mo("="), mi("g"), paren(symbol("z", n)))
      : math(symbol("a", n, shapeOf(layer.a))),
    equation: layer.z ? ["3", "activation"] : undefined,
    inside: layer.inside,
    why: layer.dense
      ? `The activation function g is ${layer.g}. ${
          n === pass.last
            ? "The last activation is the hypothesis h, the answer of the network."
            : "Its slope at z comes back in the backward pass."
        }`
      : `The layer ${layer.name} computes it.`,
  });
  return lines;
}

/** The lines of the backward pass of layer n. */
function backwardLines(pass, n) {
  const { data, last } = pass;
  const layer = pass.layer(n);
  const lines = [];
  if (layer.delta) {
    const shape = shapeOf(layer.delta);
    let line;
    if (n === last) line = outputError(pass);
    else if (layer.dense && pass.layer(n + 1).dense) {
      const block = pass.block(n + 1);
      const w = `${block.cols - block.exempt} × ${block.rows}`;
      const back = row(
        symbol("W", n, w, mo("⊤")),
        symbol("δ", n + 1, shapeOf(pass.layer(n + 1).delta)),
      );
      line = {
        formula:
          layer.g === "Softmax"
            ? math(symbol("δ", n, shape), mo("="), transposed(mi("G")), back)
            : math(
                symbol("δ", n, shape),
                mo("="),
                paren(back),
                mo("∘"),
                slopeAt(symbol("z", n, shape)),
              ),
        equation: layer.g === "Sigmoid" ? ["11", "recurrence"] : ["13", "recurrence-general"],
        why:
          "A unit acts on the cost only through the units that it feeds. Their δ come back along " +
          "the same wires, so unit j needs column j of Θ: that is why W is transposed and stands " +
          `on the left.${
            block.exempt
              ? " W is Θ without its column 0: no wire leads into the " +
                "constant unit, so the bias sends nothing back."
              : ""
          }`,
        proof: "Step 4 of the proof, the recurrence.",
      };
    } else {
      line = {
        formula: math(
          symbol("δ", n, shape),
          mo("="),
          fraction(row(mo("∂"), mi("cost")), row(mo("∂"), symbol("z", n))),
        ),
        equation: ["7", "error-term"],
        why: "The layer above computes it. The page shows the values of the trace.",
      };
    }
    lines.push({
      key: `delta.${n}`,
      what: "delta",
      n,
      of: layer.delta,
      title: n === last ? "Errors of the outputs" : `Errors of layer ${n}`,
      proof: n === last ? "Step 2 of the proof, the error at the output." : undefined,
      ...line,
    });
  }
  layer.blocks.forEach((b) => {
    const block = data.blocks[b];
    const shape = shapeOf(block);
    const [sum, d, theta] = layer.dense
      ? [
          ["Δ", n - 1, shape],
          ["D", n - 1, shape],
          ["Θ", n - 1, shape],
        ].map((s) => symbol(...s))
      : ["Δ of ", "D of ", ""].map((of) => `<mtext>${escaped(of + block.label)}</mtext>`);
    const input = pass.activations(n - 1);
    const a = symbol("a", n - 1, shapeOf(input));
    lines.push({
      key: `sum.${b}`,
      what: "sum",
      n: b,
      of: block,
      title: `Sum over the examples, ${block.label}`,
      formula: layer.dense
        ? math(
            sum,
            mo("="),
            symbol("δ", n, layer.delta ? shapeOf(layer.delta) : undefined),
            transposed(block.exempt ? withOne(a) : a),
          )
        : math(sum),
      equation: layer.dense ? ["17", "accumulator"] : undefined,
      why: layer.dense
        ? `Blame times activity: δ at the end of a wire times a at its start, added ` +
          `over the examples. ${
            block.exempt
              ? "Column 0 is the sum of δ itself, because the bias is " + "multiplied by 1."
              : ""
          }`
        : "The layer computes it. The page shows the values of the " + "trace.",
      proof: layer.dense
        ? "Step 3 of the proof, the derivative with respect to a " +
          "parameter, once for each example."
        : undefined,
    });
    lines.push({
      key: `d.${b}`,
      what: "d",
      n: b,
      of: block,
      title: `Gradient of ${block.label}`,
      formula: formulaOfD(data, block, d, sum, theta),
      equation: block.l1 ? ["22", "elastic-net"] : ["21", "regularised-gradient"],
      why: strength(block),
    });
  });
  return lines;
}

/** All lines, in the order of the pass. */
function linesOf(pass) {
  const { data, last } = pass;
  const layers = range(last - 1).map((l) => l + 2);
  const m = data.x.cols;
  const cost = mi("cost");
  return {
    forward: [
      {
        key: "a.1",
        what: "a",
        n: 1,
        of: data.x,
        title: "Inputs",
        formula: math(symbol("a", 1, shapeOf(data.x)), mo("="), mi("X")),
        equation: ["1", "input"],
        why:
          `Each column is one of the ${m === 1 ? "" : `${m} `}example${m === 1 ? "" : "s"}, each ` +
          "row an input.",
      },
      ...layers.flatMap((n) => forwardLines(pass, n)),
    ],
    cost: [
      {
        key: `y.${last}`,
        what: "y",
        n: last,
        of: data.y,
        title: "Targets",
        formula: math(symbol("y", undefined, shapeOf(data.y))),
        why: "What the outputs should be.",
      },
      {
        key: "cost.0",
        what: "cost",
        n: last,
        of: data.costs,
        title: "Cost of each example",
        formula: math(cost, paren(row(symbol("a", last), mo(","), mi("y")))),
        equation:
          data.cost.name === "BinaryCrossEntropy" ? ["5", "cross-entropy"] : ["6", "objective"],
        why: `One number per example says how wrong the answer is.${
          data.cost.name ? ` The cost is ${data.cost.name}.` : ""
        }`,
      },
    ],
    backward: layers.reverse().flatMap((n) => backwardLines(pass, n)),
  };
}
