// The page: builds the lines, the switches and the explanation of a number.

/** What each switch changes, and what would be wrong. */
const WARNINGS = {
  one: () => "D is the gradient of the cost of one example. A step along it may make the others "
    + "worse.",
  first: (pass) => `Δ holds the first ${pass.shown.length} of ${pass.data.x.cols} examples. J and D `
    + "are those of these examples alone.",
  mean: (pass) => `Without 1/m, D is ${single(pass.weight)} times the gradient. The same learning `
    + "rate would take larger steps for more examples, and D disagrees with the central differences.",
  lambda: () => "Without λ, D is the gradient of J without its penalty. If J keeps the penalty, D is "
    + "wrong for every weight that is not 0, and only the biases are right.",
  bias: () => "With the bias in the penalty, column 0 of D gains λΘ/m, and J its square. The outputs "
    + "would be pulled towards those of z = 0. J exempts the bias, so column 0 is wrong.",
  error: (pass) => (pass.pair ? "δ = a − y: the slopes have cancelled. Choose a number of δ to see "
    + "it step by step." : "a − y is the error of another pair. Here the slopes do not cancel, so δ "
    + "and every D are wrong."),
  slope: () => "δ by the chain rule, through the slope g′. Choose a number of δ to see each factor.",
};

class Board {
  constructor(data) {
    this.data = data;
    this.switches = { ...AS_TRACED };
    this.step = 0;
    this.root = document.getElementById("page");
    this.root.append(this.header(), el("div", { class: "layout" },
      el("div", { class: "side" }, this.controls(), this.panel()), this.main = el("main", {})));
    document.addEventListener("pointerover", (event) => {
      if (event.target.closest?.("canvas")) return;
      const of = event.target.closest?.("[data-place]")?.dataset.place;
      if (of) this.explain(of);
      else if (this.main.contains(event.target)) this.leave();
    });
    document.addEventListener("focusin", (event) => {
      const of = event.target.closest?.("td[data-place], li[data-place]")?.dataset.place;
      if (of) this.stay(of);
    });
    this.render();
  }

  header() {
    const { data } = this;
    const penalty = data.blocks.find(({ l1, l2 }) => l1 || l2);
    const count = data.blocks.reduce((all, { rows, cols }) => all + rows * cols, 0);
    const facts = [`${data.x.cols} example${data.x.cols === 1 ? "" : "s"}`, `${count} parameters`,
      data.cost.name || "a cost of your own",
      penalty ? `λ = ${penalty.l2 || penalty.l1}` : "no penalty"];
    return el("header", {}, el("h1", {}, data.title), el("p", {}, facts.join(" · ")),
      el("p", { class: "lead" }, "Every number of one pass through the network. Point at a number, "
        + "or move to it with Tab and the arrow keys: the page shows the sum that makes it, and "
        + "what it goes into."));
  }

  /** Computes the pass again, and shows it. */
  set(switches) {
    this.switches = { ...this.switches, ...switches };
    this.render();
  }

  controls() {
    const { data } = this;
    const pass = new Pass(data, {});
    const m = data.x.cols;
    const radio = (name, value, text) => {
      const input = el("input", { type: "radio", name, value, checked:
        this.switches[name] === value });
      input.addEventListener("change", () => this.set({ [name]: value }));
      return el("label", {}, input, ` ${text}`);
    };
    const box = (name, text) => {
      const input = el("input", { type: "checkbox", name, checked: this.switches[name] });
      input.addEventListener("change", () => this.set({ [name]: input.checked }));
      return el("label", {}, input, ` ${text}`);
    };
    const number = el("input", { type: "number", name: "k", min: 1, max: m, value: 1,
      "aria-label": "number of the example" });
    number.addEventListener("change", () => {
      const k = Math.min(m, Math.max(1, Math.round(Number(number.value)) || 1));
      number.value = k;
      this.set({ k: k - 1 });
    });
    const ways = { traced: "as traced", slope: "∂cost/∂a · g′(z)", error: "a − y" };
    const penalty = data.blocks.some(({ l1, l2 }) => l1 || l2);
    const groups = [
      m > 1 && el("fieldset", {}, el("legend", {}, "Examples"), radio("examples", "all", `all ${m}`),
        radio("examples", "one", "only one"), radio("examples", "first", "up to one"),
        el("label", {}, "example ", number)),
      el("fieldset", {}, el("legend", {}, "Gradient"), box("mean", "1/m"),
        penalty ? box("lambda", "λ") : undefined,
        penalty ? box("bias", "bias in the penalty") : undefined),
      pass.ways.length > 1 && el("fieldset", {}, el("legend", {}, "δ of the outputs"),
        pass.ways.map((way) => radio("delta", way, ways[way]))),
    ];
    this.warning = el("div", { role: "status", class: "warnings" });
    const form = el("form", { class: "switches", "aria-label": "Switches", autocomplete: "off" },
      groups.filter(Boolean), this.warning);
    form.addEventListener("submit", (event) => event.preventDefault());
    return form;
  }

  panel() {
    this.explanation = el("div", { class: "content" });
    return el("section", { class: "panel", "aria-live": "polite", "aria-label": "Explanation",
      tabindex: 0 }, this.explanation);
  }

  warn() {
    const { examples, mean, lambda, bias, delta } = this.switches;
    const penalty = this.data.blocks.some(({ l1, l2 }) => l1 || l2);
    const keys = [examples !== "all" && examples, !mean && "mean", penalty && !lambda && "lambda",
      penalty && lambda && bias && "bias", delta !== "traced" && delta].filter(Boolean);
    this.warning.replaceChildren(...keys.map((key) => el("p", {}, WARNINGS[key](this.pass))));
  }

  render() {
    const pass = new Pass(this.data, this.switches);
    this.pass = pass;
    this.views = [];
    const lines = linesOf(pass);
    const part = (title, id, nodes) => el("section", { class: "part", id }, el("h2", {}, title),
      nodes);
    this.main.replaceChildren(this.network(), part("Forward", "forward", lines.forward.map(
      (line) => this.line(line))), part("Cost", "cost", [...lines.cost.map((line) =>
      this.line(line)), this.objective()]), part("Backward", "backward", [...lines.backward.map(
      (line) => this.line(line)), this.unrolled(), this.checked()].filter(Boolean)));
    this.warn();
    const stayed = this.stayed && this.views.some((view) => view.cells.has(this.stayed));
    if (stayed) this.explain(this.stayed);
    else this.leave();
  }

  /** A number of an equation, as a link to it. */
  equation([number, anchor]) {
    return el("a", { class: "equation", href: `${this.data.derivation}#${anchor}`,
      "aria-label": `equation ${number} of the derivation` }, `(${number})`);
  }

  line({ key, what, n, of, title, formula, equation, why, proof, inside }) {
    const words = el("p", {}, why, proof ? el("span", { class: "proof" }, ` ${proof}`) : undefined);
    return el("article", { class: "line", id: key.replace(".", "-") }, this.head(title, formula,
      equation, words), el("div", { class: "matrix" }, this.matrix({ what, n, of, title })),
    inside?.map((inner) => this.inner(inner)) ?? []);
  }

  /** The title, the formula and the words of a line. */
  head(title, formula, equation, ...words) {
    return el("div", { class: "words" }, el("h3", {}, title), el("div", { class: "formula" },
      markup("span", { class: "scroll" }, formula), equation ? this.equation(equation)
        : undefined), words);
  }

  /** The matrix of a line. */
  matrix({ what, n, of, title }) {
    const { pass } = this;
    const block = ["theta", "sum", "d"].includes(what) ? this.data.blocks[n] : undefined;
    const held = block ? block[what] : of;
    if (!known(held)) return summary(held);
    const { rows, cols } = held;
    const { image } = this.data;
    const places = range(rows).map((i) => range(cols).map((k) => place(what, n, i, k)));
    const bias = block?.exempt ?? 0;
    if (what === "a" && n === 1 && image && rows > TABLE.rows) {
      const example = this.switches.k;
      const pixels = range(image[0]).map((r) => range(image[1]).map((c) => place("a", 1,
        r * image[1] + c, example)));
      return this.add(new ImageView(this, { places: pixels, label: `example ${example + 1}` }));
    }
    if (cols === 1 && rows > TABLE.rows && rows <= 10 * TABLE.rows) {
      return this.add(new ListView(this, { places: places.flat(), label: title, first: 1 }));
    }
    if (rows > TABLE.rows || cols > TABLE.cols) {
      return this.add(new ImageView(this, { places, label: title, bias }));
    }
    const many = pass.data.x.cols > 1;
    const colNames = range(cols).map((k) => {
      if (block) return k < bias ? (bias === 1 ? "bias" : `${k}`) : `${bias === 1 ? k : k + 1}`;
      return many ? `ex. ${k + 1}` : "";
    });
    const rowNames = range(rows).map((i) => (what === "cost" ? "" : `${i + 1}`));
    const extra = what === "d" || what === "sum" || what === "z" || what === "delta"
      ? (cell, at) => this.judge(cell, at) : undefined;
    return this.add(new TableView(this, { places, label: title, rowNames, colNames, bias, extra }));
  }

  add(view) {
    this.views.push(view);
    return view.node;
  }

  /** Marks a number that is wrong, and shows the central difference below an entry of D. */
  judge(cell, of) {
    const { what, n, i, k } = parts(of);
    if (this.pass.differs(of)) cell.classList.add("wrong");
    if (!this.pass.shown.includes(k) && what === "delta") cell.classList.add("unused");
    const central = what === "d" ? this.pass.central(n, i, k) : undefined;
    if (!central) return;
    const { relative, verdict } = central;
    if (verdict === "wrong") cell.classList.add("wrong");
    cell.append(el("small", { class: "check" }, verdict === "wrong" ? "≠ " : "≈ ",
      single(Number(central.numeric.toPrecision(5))), el("br", {}), `error ${
        relative === 0 ? "0" : signed(relative.toExponential(0))}`));
  }

  /** A layer inside another: the values that the trace has. */
  inner({ label, depth, name, z, a, delta }) {
    const given = (symbolName, of) => (of ? [el("p", { class: "caption" }, `${symbolName}, ${
      shapeOf(of)}`), plain(of)] : []);
    return el("details", { class: "inner wide", style: `margin-left:${depth - 2}em` }, el("summary", {},
      `${label}: ${name}`), ...given("z", z), ...given("a", a), ...given("δ", delta));
  }

  objective() {
    const { data, total, penalty } = this.pass.objective();
    const traced = this.data.objective.total;
    const m = divisor(this.data);
    const formula = math(mi("J"), mo("="), fraction(mn(1), m), mo("("), mo("Σ"), this.data.weights
      ? mi("w") : "", mi("cost"), mo("+"), mi("Ω"), mo(")"));
    const number = (x) => el("span", { class: "number", "data-value": x }, single(x));
    const wrong = this.pass.traced && Math.abs(total - traced) > 1e3 * this.data.epsilon
      * (Math.abs(data) + penalty);
    const words = "The mean of the costs, and the penalty Ω. Both are divided by m once.";
    return el("article", { class: "line", id: "objective" }, this.head("Objective", formula,
      ["6", "objective"], el("p", {}, words)), el("p", { class: `total${wrong ? " wrong" : ""}` }, "J = ",
        number(data), " + ", number(penalty), " = ", number(total)));
  }

  /** ∇J, with the place of each entry. */
  unrolled() {
    const { blocks } = this.data;
    const count = blocks.reduce((all, { rows, cols }) => all + rows * cols, 0);
    const named = blocks.slice(0, 3).flatMap(({ dense, label }, b) => [b ? mo(";") : "", dense
      ? symbol("D", dense - 1) : `<mtext>${escaped(label)}</mtext>`, "<mtext>(:)</mtext>"]);
    const formula = math(mo("∇"), mi("J"), mo("="), mo("["), ...named, blocks.length > 3
      ? mo("; …") : "", mo("]"));
    const intro = this.head("Unrolled gradient", formula, ["23", "unrolled"], el("p", {},
      `The ${count} entries of D, block by block and column by column, as the vector that a method `
      + "of learning takes. It steps against this vector."));
    intro.classList.add("wide");
    const places = blocks.flatMap(({ number, rows, cols }) => range(cols).flatMap((j) => range(rows)
      .map((i) => place("d", number, i, j))));
    const node = el("article", { class: "line", id: "unrolled" }, intro);
    if (blocks.some(({ d }) => !known(d))) {
      node.append(el("p", {}, "It is too long to list here."));
    } else if (count > 160) {
      const rows = range(Math.ceil(count / 64)).map((r) => range(64).map((c) => places[64 * r + c]));
      node.append(this.add(new ImageView(this, { places: rows, label: "∇J, 64 entries a row" })));
    } else {
      const odd = (of) => parts(of).n % 2;
      node.append(this.add(new ListView(this, { places, label: "entries of ∇J", first: 0, odd })));
    }
    return node;
  }

  /** The report of the gradient check, block by block. */
  checked() {
    const checked = this.data.blocks.filter(({ check, frozen }) => check && !frozen);
    if (checked.length === 0) return undefined;
    const rows = checked.map((block) => this.checkedRow(block));
    const worst = rows.reduce((all, row) => (row.worst && !(row.worst.relative
      <= (all?.relative ?? -1)) ? row.worst : all), undefined);
    const titles = ["block", "compared", "relative error", "worst entry", "verdict"];
    const theta = (sign) => [mi("J"), paren(row(mi("θ"), mo(sign), mi("h")))];
    const formula = math(symbol("D"), mo("≈"), fraction(row(...theta("+"), mo("−"), ...theta("−")),
      row(mn(2), mi("h"))));
    const head = this.head("Gradient check", formula, ["27", "central-difference"], el("p", {},
      "The definition of the derivative is the test: two values of J, with a step h = "
      + `${single(this.data.step)} on each side. The central differences are those of J with all `
      + "examples, 1/m and λ, so the switches that change D show as errors here."));
    head.classList.add("wide");
    const body = rows.map(({ cells, wrong }) => el("tr", { class: wrong ? "wrong" : undefined },
      cells.map((cell) => el("td", {}, cell))));
    return el("article", { class: "line", id: "check" }, head, el("div", { class: "scroll wide" },
      el("table", { class: "report" }, el("thead", {}, el("tr", {}, titles.map((title) => el("th",
        { scope: "col" }, title)))), el("tbody", {}, body))), worst ? el("p", { class: "wide" },
      "The largest relative error is at ", this.chip(worst.of), ".") : undefined,
    ...rows.map(({ map }) => map).filter(Boolean));
  }

  checkedRow(block) {
    const { number, rows, check, label } = block;
    const all = check.entries.map((entryOf) => {
      const of = place("d", number, entryOf % rows, Math.floor(entryOf / rows));
      return { of, d: this.pass.value(of), ...this.pass.central(number, entryOf % rows,
        Math.floor(entryOf / rows)) };
    });
    const norm = (f) => Math.hypot(...all.map(f));
    const total = norm(({ d }) => d) + norm(({ numeric }) => numeric);
    const complete = all.length === check.compared;
    const relative = !complete ? check.relative : total === 0 ? 0
      : norm(({ difference }) => difference) / total;
    const worst = all.reduce((most, of) => (!most || !(of.difference <= most.difference) ? of
      : most), undefined);
    const wrong = all.filter(({ verdict }) => verdict === "wrong").length;
    const verdict = wrong ? `wrong, ${wrong} of ${all.length}` : this.pass.traced ? check.verdict
      : "agrees";
    const map = all.length > 1 && complete && block.rows * block.cols > 160
      ? this.errorMap(block, all) : undefined;
    return { wrong: wrong > 0, worst, map, cells: [label, `${check.compared} of ${
      block.rows * block.cols}`, signed(relative.toExponential(1)), worst ? this.chip(worst.of)
      : "–", verdict] };
  }

  /** The relative errors of a block as an image: dark is 1e-2 and more, pale 1e-12 and less. */
  errorMap({ number, rows, cols, label }, all) {
    const errors = new Map(all.map((of) => [of.of, of.relative]));
    const view = new ImageView(this, { places: range(rows).map((i) => range(cols).map((j) =>
      place("d", number, i, j))), label: `relative errors of ${label}`, colours: () => "" });
    view.values = view.places.map((row) => row.map((of) => errors.get(of)));
    view.colours = (x) => `rgba(200,30,60,${Math.min(1, Math.max(0.04, (12 + Math.log10(x || 1e-16))
      / 10)).toFixed(3)})`;
    view.draw();
    return el("div", { class: "wide" }, el("p", { class: "caption" }, `Relative errors of ${label}: pale is 1e-12, `
      + "dark is 1e-2."), this.add(view));
  }

  network() {
    const steps = stepsOf(this.pass);
    const m = this.data.x.cols;
    const figure = el("figure", { id: "network" });
    const holder = el("div", { class: "scroll" });
    const words = el("figcaption", { "aria-live": "polite" });
    const slider = el("input", { type: "range", min: 0, max: steps.length - 1, value: this.step,
      "aria-label": "step of the pass" });
    const show = () => {
      slider.value = this.step;
      holder.replaceChildren(drawNetwork(this.pass, this.switches.k, steps[this.step]));
      words.replaceChildren(el("strong", {}, `Step ${this.step + 1} of ${steps.length}. `),
        steps[this.step].text, m > 1 ? ` (example ${this.switches.k + 1})` : "");
    };
    const button = (text, label, by) => {
      const node = el("button", { type: "button", "aria-label": label }, text);
      node.addEventListener("click", () => {
        this.step = Math.min(steps.length - 1, Math.max(0, this.step + by));
        show();
      });
      return node;
    };
    slider.addEventListener("input", () => {
      this.step = Number(slider.value);
      show();
    });
    figure.append(el("div", { class: "sweep" }, button("◀", "one step back", -1), slider,
      button("▶", "one step on", 1)), words, holder, el("p", { class: "legend" },
      el("span", { class: "key plus" }), " above 0 ", el("span", { class: "key minus" }),
      " below 0. The fill of a unit is its a, the ring its δ, and a wide wire a large Θ."));
    this.step = Math.min(this.step, steps.length - 1);
    show();
    return figure;
  }

  /** A place as a button that leads to it. */
  chip(of) {
    const node = el("button", { type: "button", class: "chip", "data-goes": of },
      symbolOf(this.data, of));
    node.addEventListener("click", () => this.go(of));
    return node;
  }

  go(of) {
    const view = this.views.find(({ cells }) => cells.has(of));
    view?.focus(of);
    view?.node.scrollIntoView({ block: "nearest" });
  }

  /** Explains a number until another is chosen. */
  stay(of) {
    this.stayed = of;
    this.explain(of);
  }

  /** Goes back to the number that was chosen. */
  leave() {
    if (this.stayed) this.explain(this.stayed);
    else {
      this.highlight(undefined);
      this.explanation.replaceChildren(el("p", { class: "hint" }, "Point at a number to see the sum "
        + "that makes it."));
    }
  }

  explain(of) {
    this.highlight(of);
    this.explanation.replaceChildren(...explanation(this, of));
  }

  /** Lights up a number, its operands, and what it goes into. */
  highlight(of) {
    const kinds = ["current", "operand", "user"];
    this.views.forEach((view) => view.clear(kinds));
    if (!of) return;
    const mark = (at, kind) => this.views.forEach((view) => {
      if (view.cells.has(at)) view.mark(at, kind);
    });
    mark(of, "current");
    this.pass.operands(of).forEach((at) => mark(at, "operand"));
    this.pass.uses(of).forEach((at) => mark(at, "user"));
  }
}

const board = new Board(JSON.parse(document.getElementById("data").textContent));
