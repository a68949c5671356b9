// The picture of the network for one example: units and wires, with the forward and the backward
// pass as two sweeps of steps.

/** The most units that a layer shows one by one. */
const UNITS = 8;

function svg(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => {
    if (value !== undefined) node.setAttribute(key, value);
  });
  node.append(...children.filter((child) => child !== undefined));
  return node;
}

/** The units of a layer that the picture shows; a null stands for those left out. */
const shownUnits = (rows) => (rows <= UNITS ? range(rows) : [0, 1, 2, 3, null, rows - 2, rows - 1]);

/** The steps of the sweeps: which layer is reached, and words. */
function stepsOf(pass) {
  const forward = range(pass.last - 1).map((l) => l + 2);
  const name = (n) => (pass.layer(n).dense ? "" : ` (${pass.layer(n).name})`);
  return [
    { forward: 1, text: "Forward. The inputs are the activations of layer 1." },
    ...forward.map((n) => ({
      forward: n,
      text:
        `Forward. Layer ${n}${name(n)}: ` +
        "each unit adds what its wires carry and applies its activation.",
    })),
    {
      forward: pass.last,
      text:
        "The cost compares the outputs with the targets. Here the " +
        "answer to “how much would the cost grow?” is known.",
    },
    ...forward.reverse().map((n) => ({
      forward: pass.last,
      backward: n,
      text:
        n === pass.last
          ? "Backward. Each output has its error δ. A wire's derivative is δ at its end times a " +
            "at its start."
          : `Backward. Layer ${n}: the errors come back along the same wires, are added, and ` +
            "multiplied by the slope of the unit.",
    })),
  ];
}

/** Draws the network at a step. */
function drawNetwork(pass, k, step) {
  const layers = range(pass.last).map((l) => l + 1);
  const rows = layers.map((n) => pass.activations(n).rows);
  const biased = (n) => pass.block(n + 1)?.exempt === 1;
  const slots = Math.max(...layers.map((n, l) => shownUnits(rows[l]).length + biased(n)));
  const [dx, dy] = [168, 74];
  const [width, height] = [dx * (layers.length - 1) + 140, dy * slots + 66];
  const x = (n) => 70 + dx * (n - 1);
  const y = (n, slot) =>
    36 + dy * (slot + (slots - shownUnits(rows[n - 1]).length - biased(n)) / 2);
  const slotOf = (n, i) => shownUnits(rows[n - 1]).indexOf(i) + biased(n);
  const value = (what, n, i) => pass.value(place(what, n, i, k));
  const backward = step.backward ?? Infinity;
  const root = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `The network for example ${k + 1}. ${step.text}`,
    style: `max-width:${width}px`,
  });

  layers.slice(1).forEach((n) => {
    const block = pass.block(n);
    const active = step.backward ? n === backward : n === step.forward && step.forward > 1;
    if (!block || !known(block.theta)) {
      const [from, to] = [x(n - 1) + 26, x(n) - 26];
      root.append(
        svg("line", { x1: from, x2: to, y1: height / 2, y2: height / 2, class: "given" }),
      );
      return;
    }
    const largest = Math.max(...block.theta.values.map(Math.abs));
    shownUnits(rows[n - 1]).forEach((i) => {
      if (i === null) return;
      range(block.exempt)
        .concat(
          shownUnits(rows[n - 2])
            .filter((j) => j !== null)
            .map((j) => j + block.exempt),
        )
        .forEach((j) => {
          const theta = pass.value(place("theta", block.number, i, j));
          const start = j < block.exempt ? 0 : slotOf(n - 1, j - block.exempt);
          const wire = svg("line", {
            x1: x(n - 1) + 20,
            y1: y(n - 1, start),
            x2: x(n) - 20,
            y2: y(n, slotOf(n, i)),
            "stroke-width": 0.7 + (3 * Math.abs(theta)) / (largest || 1),
            class: `wire ${theta < 0 ? "minus" : "plus"} ${active ? "active" : ""}`,
            "data-place": place(step.backward && n >= backward ? "d" : "theta", block.number, i, j),
          });
          root.append(wire);
        });
    });
  });

  layers.forEach((n) => {
    const units = shownUnits(rows[n - 1]);
    const scale = (what) =>
      Math.max(0, ...range(rows[n - 1]).map((i) => Math.abs(value(what, n, i)) || 0));
    const [ofA, ofDelta] = [scale("a"), n > 1 ? scale("delta") : 0];
    if (biased(n)) {
      root.append(
        svg("rect", {
          x: x(n) - 15,
          y: y(n, 0) - 15,
          width: 30,
          height: 30,
          rx: 7,
          class: "constant",
        }),
        svg("text", { x: x(n), y: y(n, 0) + 4 }, "1"),
      );
    }
    units.forEach((i) => {
      const at = [x(n), y(n, i === null ? units.indexOf(null) + biased(n) : slotOf(n, i))];
      if (i === null) {
        root.append(svg("text", { x: at[0], y: at[1] + 6, class: "gap" }, "⋮"));
        return;
      }
      const reached = n <= step.forward;
      const returned = n > 1 && n >= backward && Number.isFinite(value("delta", n, i));
      if (returned) {
        root.append(
          svg("circle", {
            cx: at[0],
            cy: at[1],
            r: 23.5,
            class: "error",
            stroke: tint(value("delta", n, i), ofDelta, 1),
            "data-place": place("delta", n, i, k),
          }),
        );
      }
      root.append(
        svg("circle", {
          cx: at[0],
          cy: at[1],
          r: 19,
          class: "unit",
          "data-place": place("a", n, i, k),
        }),
      );
      const fill = svg("circle", {
        cx: at[0],
        cy: at[1],
        r: 19,
        class: "fill",
        fill: reached ? tint(value("a", n, i), ofA, 0.5) : "transparent",
      });
      root.append(fill);
      const short = (v) =>
        Number.isNaN(v) ? "" : signed(Math.abs(v) >= 100 ? v.toPrecision(2) : v.toFixed(2));
      if (reached) root.append(svg("text", { x: at[0], y: at[1] + 4 }, short(value("a", n, i))));
      if (returned) {
        root.append(
          svg(
            "text",
            { x: at[0], y: at[1] + 37, class: "delta" },
            `δ ${signed(value("delta", n, i).toPrecision(2))}`,
          ),
        );
      }
    });
    const names = n === 1 ? "inputs" : n === pass.last ? "outputs" : `layer ${n}`;
    root.append(
      svg("text", { x: x(n), y: height - 8, class: "name" }, `${names} (${rows[n - 1]})`),
    );
  });
  return root;
}
