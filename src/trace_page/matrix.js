// Matrices on the page: as a table of numbers, or as an image if there are many.

/** The most rows and columns of a table. */
const TABLE = { rows: 16, cols: 12 };

/** Creates an element with attributes and children (texts are never read as markup). */
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  Object.entries(attributes ?? {}).forEach(([key, value]) => {
    if (value !== undefined && value !== false) node.setAttribute(key, value);
  });
  node.append(...children.flat().filter((child) => child !== undefined));
  return node;
}

/** Creates an element from markup that holds no text of the data. */
function markup(name, attributes, content) {
  const node = el(name, attributes);
  node.innerHTML = content;
  return node;
}

/** Writes a number with a true minus. */
const signed = (text) => text.replace(/-/g, "−");

/** The largest magnitude of finite numbers. */
const largestOf = (values) =>
  values.reduce((all, x) => (Number.isFinite(x) ? Math.max(all, Math.abs(x)) : all), 0);

/** The format of the numbers of a matrix: five digits of the largest, aligned. */
function format(values) {
  const sizes = values.filter(Number.isFinite).map(Math.abs);
  const largest = largestOf(values);
  const decimals = largest === 0 ? 1 : 4 - Math.floor(Math.log10(largest));
  const fixed = decimals >= 0 && decimals <= 7;
  const whole = sizes.every(Number.isInteger) && largest < 1e6;
  return (x) => {
    if (!Number.isFinite(x)) return "–";
    if (whole) return signed(String(x + 0));
    return signed(fixed ? (x + 0).toFixed(decimals) : (x + 0).toExponential(3));
  };
}

/** A number on its own, with six digits. */
function single(x) {
  if (!Number.isFinite(x)) return "–";
  if (x === 0 || (Number.isInteger(x) && Math.abs(x) < 1e6)) return signed(String(x + 0));
  const size = Math.abs(x);
  return signed(size >= 1e-4 && size < 1e7 ? String(Number(x.toPrecision(6))) : x.toExponential(4));
}

/** The colour of a number: blue above 0, orange below, paler the smaller. */
function tint(x, largest, strongest) {
  if (!Number.isFinite(x) || largest === 0 || x === 0) return "transparent";
  const alpha = (strongest * Math.min(1, Math.abs(x) / largest)).toFixed(3);
  return x > 0 ? `rgba(47,111,235,${alpha})` : `rgba(224,112,24,${alpha})`;
}

/** The symbol of a place, such as Θ with its layer and indices, as nodes. */
function symbolOf(data, of) {
  const { what, n, i, k } = parts(of);
  const sup = (text) => el("sup", {}, `(${text})`);
  const sub = (...indices) => el("sub", {}, indices.join(","));
  const example = data.x.cols > 1 ? [el("small", {}, ` ex. ${k + 1}`)] : [];
  if (what === "one") return ["1"];
  if (what === "w") return ["w", sub(k + 1)];
  if (what === "cost") return ["cost", sub(k + 1)];
  if (what === "y") return ["y", sub(i + 1), ...example];
  if (what === "u") return ["∂cost/∂a", sub(i + 1), ...example];
  const name = { theta: "Θ", sum: "Δ", d: "D", delta: "δ", slope: "g′(z" }[what] ?? what;
  if (["theta", "sum", "d"].includes(what)) {
    const block = data.blocks[n];
    const index = sub(i + 1, block.dense && block.exempt ? k : k + 1);
    if (!block.dense) return [what === "theta" ? "" : `${name} of `, block.label, index];
    return [name, sup(block.dense - 1), index];
  }
  const close = what === "slope" ? [")"] : [];
  return [name, sup(n), sub(i + 1), ...close, ...example];
}

/** The symbol of a place as text, for screen readers. */
function spoken(data, of) {
  const { what, n, i, k } = parts(of);
  const entry = `row ${i + 1}, column ${k + 1}`;
  if (["theta", "sum", "d"].includes(what)) {
    const name = { theta: "", sum: "Delta of ", d: "D of " }[what];
    const { dense, exempt, label } = data.blocks[n];
    const column = dense && exempt ? k : k + 1;
    return `${name}${label}, row ${i + 1}, column ${column}${dense && k < exempt ? ", bias" : ""}`;
  }
  if (what === "cost") return `cost of example ${k + 1}`;
  return `${what === "delta" ? "delta" : what} of layer ${n}, ${entry}`;
}

/** A matrix of places as a table: arrow keys move between its numbers. */
class TableView {
  constructor(board, { places, label, rowNames, colNames, bias, extra }) {
    const { pass } = board;
    const values = places.flat().map((of) => pass.value(of));
    const text = format(values);
    const largest = largestOf(values);
    this.cells = new Map();
    const head = el(
      "tr",
      {},
      el("td", { class: "corner" }),
      colNames.map((name, c) =>
        el("th", { scope: "col", class: c < bias ? "bias" : undefined }, name),
      ),
    );
    const body = places.map((row, r) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, rowNames[r]),
        row.map((of, c) => {
          const value = pass.value(of);
          const cell = el(
            "td",
            {
              tabindex: r + c === 0 ? 0 : -1,
              "data-place": of,
              "data-value": value,
              class: c < bias ? "bias" : undefined,
              "aria-label": `${spoken(pass.data, of)}: ${text(value)}`,
            },
            el("span", { class: "number" }, text(value)),
          );
          cell.style.setProperty("--tint", tint(value, largest, 0.24));
          extra?.(cell, of);
          this.cells.set(of, cell);
          return cell;
        }),
      ),
    );
    this.node = el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { role: "grid", "aria-label": label },
        el("thead", {}, head),
        el("tbody", {}, body),
      ),
    );
    this.node.addEventListener("keydown", (event) => this.move(event));
  }

  move(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[
      event.key
    ];
    const cell = event.target.closest("td[data-place]");
    if (!step || !cell) return;
    event.preventDefault();
    const row = cell.parentElement;
    const next = step[0] ? row.parentElement.rows[row.sectionRowIndex + step[0]] : row;
    const to = next?.cells[cell.cellIndex + step[1]];
    if (to?.dataset.place) this.focus(to.dataset.place);
  }

  focus(of) {
    this.cells.forEach((cell) => cell.setAttribute("tabindex", -1));
    const cell = this.cells.get(of);
    cell.setAttribute("tabindex", 0);
    cell.focus();
  }

  mark(of, kind) {
    this.cells.get(of).classList.add(kind);
  }

  clear(kinds) {
    this.cells.forEach((cell) => cell.classList.remove(...kinds));
  }
}

/** A vector as a list of its entries. */
class ListView {
  constructor(board, { places, label, first, odd }) {
    const { pass, data } = board;
    const text = format(places.map((of) => pass.value(of)));
    const largest = largestOf(places.map((of) => pass.value(of)));
    this.cells = new Map();
    this.node = el("ol", { class: "entries", "aria-label": label });
    places.forEach((of, p) => {
      const cell = el(
        "li",
        {
          tabindex: p ? -1 : 0,
          "data-place": of,
          "data-value": pass.value(of),
          class: odd?.(of) ? "odd" : undefined,
          "aria-label": `entry ${p + first}: ${spoken(data, of)}: ${text(pass.value(of))}`,
        },
        el("small", {}, `${p + first}`),
        el("span", { class: "number" }, text(pass.value(of))),
        odd ? el("small", {}, symbolOf(data, of)) : undefined,
      );
      cell.style.setProperty("--tint", tint(pass.value(of), largest, 0.24));
      if (pass.differs(of)) cell.classList.add("wrong");
      this.cells.set(of, cell);
      this.node.append(cell);
    });
    this.node.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const at = places.indexOf(event.target.closest("li")?.dataset.place);
      if (!step || !places[at + step]) return;
      event.preventDefault();
      this.focus(places[at + step]);
    });
  }

  focus(of) {
    this.cells.forEach((cell) => cell.setAttribute("tabindex", -1));
    this.cells.get(of).setAttribute("tabindex", 0);
    this.cells.get(of).focus();
  }

  mark(of, kind) {
    this.cells.get(of).classList.add(kind);
  }

  clear(kinds) {
    this.cells.forEach((cell) => cell.classList.remove(...kinds));
  }
}

/** A matrix of places as an image of one small square each: the pointer or the arrow keys choose
    one. */
class ImageView {
  constructor(board, { places, label, bias, colours }) {
    const { pass } = board;
    this.places = places;
    this.board = board;
    this.label = label;
    this.at = [0, 0];
    this.marks = [];
    this.cells = new Map();
    const [rows, cols] = [places.length, places[0].length];
    const size = Math.max(2, Math.min(18, Math.floor(640 / cols), Math.floor(420 / rows)));
    this.size = [size, Math.max(size, rows < 4 ? 14 : 0)];
    this.values = places.map((row) => row.map((of) => (of ? pass.value(of) : NaN)));
    places.forEach((row, r) => row.forEach((of, c) => this.cells.set(of, [r, c])));
    this.canvas = el("canvas", {
      width: cols * this.size[0],
      height: rows * this.size[1],
      tabindex: 0,
      role: "img",
      "aria-label":
        `${label}, an image of ${rows} × ${cols} numbers. ` + "The arrow keys choose one.",
    });
    // Wider images scroll.
    if (cols <= 128) this.canvas.classList.add("fits");
    this.bias = bias;
    this.colours = colours;
    this.node = el("div", { class: "scroll image" }, this.canvas);
    this.draw();
    const pointed = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const [x, y] = [
        (event.clientX - box.left) / box.width,
        (event.clientY - box.top) / box.height,
      ];
      return [Math.min(rows - 1, Math.floor(y * rows)), Math.min(cols - 1, Math.floor(x * cols))];
    };
    this.canvas.addEventListener("pointermove", (event) => this.show(pointed(event), false));
    this.canvas.addEventListener("pointerleave", () => board.leave());
    this.canvas.addEventListener("click", (event) => this.show(pointed(event), true));
    this.canvas.addEventListener("focus", () => this.show(this.at, true));
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[
        event.key
      ];
      if (!step) return;
      event.preventDefault();
      const to = [this.at[0] + step[0], this.at[1] + step[1]];
      if (to[0] >= 0 && to[1] >= 0 && to[0] < rows && to[1] < cols) this.show(to, true);
    });
  }

  show([r, c], stays) {
    const of = this.places[r][c];
    if (!of) return;
    if (stays) this.at = [r, c];
    if (stays) this.board.stay(of);
    else this.board.explain(of);
  }

  focus(of) {
    this.at = this.cells.get(of);
    this.canvas.focus();
    this.show(this.at, true);
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    const [width, height] = this.size;
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const largest = largestOf(this.values.flat());
    this.values.forEach((row, r) =>
      row.forEach((x, c) => {
        pen.fillStyle = this.colours ? this.colours(x) : tint(x, largest, 1);
        pen.fillRect(c * width, r * height, width, height);
      }),
    );
    if (this.bias) {
      pen.fillStyle = "rgba(128,128,128,0.9)";
      pen.fillRect(this.bias * width - 1, 0, 1, this.canvas.height);
    }
    const colours = { current: "#d61f69", operand: "#7c3aed", user: "#0e7c66", wrong: "#dc2626" };
    this.marks.forEach(({ r, c, kind }) => {
      pen.strokeStyle = colours[kind];
      pen.lineWidth = 2;
      pen.strokeRect(
        c * width + 1,
        r * height + 1,
        Math.max(1, width - 2),
        Math.max(1, height - 2),
      );
    });
  }

  mark(of, kind) {
    const [r, c] = this.cells.get(of);
    this.marks.push({ r, c, kind });
    this.dirty();
  }

  clear(kinds) {
    this.marks = this.marks.filter(({ kind }) => !kinds.includes(kind));
    this.dirty();
  }

  /** Draws once, after all marks of an event. */
  dirty() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.draw();
    });
  }
}

/** An image of numbers that have no places. */
function plainImage({ rows, cols, values }) {
  const side = Math.max(2, Math.min(12, Math.floor(480 / cols)));
  const canvas = el("canvas", { width: cols * side, height: rows * side, role: "img" });
  canvas.setAttribute("aria-label", `an image of ${rows} × ${cols} numbers`);
  const pen = canvas.getContext("2d");
  const largest = largestOf(values);
  values.forEach((x, at) => {
    pen.fillStyle = tint(x, largest, 1);
    pen.fillRect(Math.floor(at / rows) * side, (at % rows) * side, side, side);
  });
  return el("div", { class: "scroll image" }, canvas);
}

/** A matrix of which the page has only a summary. */
function summary(of) {
  const words =
    `Too large to list: ${shapeOf(of)}, norm ${single(of.norm)}, largest magnitude ` +
    `${single(of.largest)}. The image shows the means of its parts.`;
  return el("div", { class: "summary" }, plainImage(of.image), el("p", {}, words));
}
