// The page: its switches, its explanation of a number, and what it lights up.

/** What each switch changes, and what would be wrong. */
const WARNINGS = {
  one: () =>
    "D is the gradient of the cost of one example. A step along it may make the others " + "worse.",
  first: (pass) =>
    `Δ holds the first ${pass.shown.length} of ${pass.data.x.cols} examples. J and D ` +
    "are those of these examples alone.",
  mean: (pass) =>
    `Without 1/m, D is ${single(pass.weight)} times the gradient. The same learning ` +
    "rate would take larger steps for more examples, and D disagrees with the central differences.",
  lambda: () =>
    "Without λ, D is the gradient of J without its penalty. If J keeps the penalty, D is " +
    "wrong for every weight that is not 0, and only the biases are right.",
  bias: () =>
    "With the bias in the penalty, column 0 of D gains λΘ/m, and J its square. The outputs " +
    "would be pulled towards those of z = 0. J exempts the bias, so column 0 is wrong.",
  error: (pass) =>
    pass.pair
      ? "δ = a − y: the slopes have cancelled. Choose a number of δ to see " + "it step by step."
      : "a − y is the error of another pair. Here the slopes do not cancel, so δ " +
        "and every D are wrong.",
  slope: () =>
    "δ by the chain rule, through the slope g′. Choose a number of δ to see each factor.",
};

class Board extends Sections {
  constructor(data) {
    super();
    this.data = data;
    this.switches = { ...AS_TRACED };
    this.step = 0;
    this.root = document.getElementById("page");
    this.root.append(
      this.header(),
      el(
        "div",
        { class: "layout" },
        el("div", { class: "side" }, this.controls(), this.panel()),
        (this.main = el("main", {})),
      ),
    );
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
    const facts = [
      `${data.x.cols} example${data.x.cols === 1 ? "" : "s"}`,
      `${count} parameters`,
      data.cost.name || "a cost of your own",
      penalty ? `λ = ${penalty.l2 || penalty.l1}` : "no penalty",
    ];
    return el(
      "header",
      {},
      el("h1", {}, data.title),
      el("p", {}, facts.join(" · ")),
      el(
        "p",
        { class: "lead" },
        "Every number of one pass through the network. Point at a number, " +
          "or move to it with Tab and the arrow keys: the page shows the sum that makes it, and " +
          "what it goes into.",
      ),
    );
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
      const input = el("input", {
        type: "radio",
        name,
        value,
        checked: this.switches[name] === value,
      });
      input.addEventListener("change", () => this.set({ [name]: value }));
      return el("label", {}, input, ` ${text}`);
    };
    const box = (name, text) => {
      const input = el("input", { type: "checkbox", name, checked: this.switches[name] });
      input.addEventListener("change", () => this.set({ [name]: input.checked }));
      return el("label", {}, input, ` ${text}`);
    };
    const number = el("input", {
      type: "number",
      name: "k",
      min: 1,
      max: m,
      value: 1,
      "aria-label": "number of the example",
    });
    number.addEventListener("change", () => {
      const k = Math.min(m, Math.max(1, Math.round(Number(number.value)) || 1));
      number.value = k;
      this.set({ k: k - 1 });
    });
    const ways = { traced: "as traced", slope: "∂cost/∂a · g′(z)", error: "a − y" };
    const penalty = data.blocks.some(({ l1, l2 }) => l1 || l2);
    const groups = [
      m > 1 &&
        el(
          "fieldset",
          {},
          el("legend", {}, "Examples"),
          radio("examples", "all", `all ${m}`),
          radio("examples", "one", "only k"),
          radio("examples", "first", "up to k"),
          el("label", {}, "k = ", number),
        ),
      el(
        "fieldset",
        {},
        el("legend", {}, "Gradient"),
        box("mean", "1/m"),
        penalty ? box("lambda", "λ") : undefined,
        penalty ? box("bias", "bias in the penalty") : undefined,
      ),
      pass.ways.length > 1 &&
        el(
          "fieldset",
          {},
          el("legend", {}, "δ of the outputs"),
          pass.ways.map((way) => radio("delta", way, ways[way])),
        ),
    ];
    this.warning = el("div", { role: "status", class: "warnings" });
    const form = el(
      "form",
      { class: "switches", "aria-label": "Switches", autocomplete: "off" },
      groups.filter(Boolean),
      this.warning,
    );
    form.addEventListener("submit", (event) => event.preventDefault());
    return form;
  }

  panel() {
    this.explanation = el("div", { class: "content" });
    return el(
      "section",
      { class: "panel", "aria-live": "polite", "aria-label": "Explanation", tabindex: 0 },
      this.explanation,
    );
  }

  warn() {
    const { examples, mean, lambda, bias, delta } = this.switches;
    const penalty = this.data.blocks.some(({ l1, l2 }) => l1 || l2);
    const keys = [
      examples !== "all" && examples,
      !mean && "mean",
      penalty && !lambda && "lambda",
      penalty && lambda && bias && "bias",
      delta !== "traced" && delta,
    ].filter(Boolean);
    this.warning.replaceChildren(...keys.map((key) => el("p", {}, WARNINGS[key](this.pass))));
  }

  render() {
    const pass = new Pass(this.data, this.switches);
    this.pass = pass;
    this.views = [];
    const lines = linesOf(pass);
    const part = (title, id, nodes) =>
      el("section", { class: "part", id }, el("h2", {}, title), nodes);
    this.main.replaceChildren(
      this.network(),
      part(
        "Forward",
        "forward",
        lines.forward.map((line) => this.line(line)),
      ),
      part("Cost", "cost", [...lines.cost.map((line) => this.line(line)), this.objective()]),
      part(
        "Backward",
        "backward",
        [...lines.backward.map((line) => this.line(line)), this.unrolled(), this.checked()].filter(
          Boolean,
        ),
      ),
    );
    this.warn();
    const stayed = this.stayed && this.views.some((view) => view.cells.has(this.stayed));
    if (stayed) this.explain(this.stayed);
    else this.leave();
  }

  network() {
    const steps = stepsOf(this.pass);
    const m = this.data.x.cols;
    const figure = el("figure", { id: "network" });
    const holder = el("div", { class: "scroll" });
    const words = el("figcaption", { "aria-live": "polite" });
    const slider = el("input", {
      type: "range",
      min: 0,
      max: steps.length - 1,
      value: this.step,
      "aria-label": "step of the pass",
    });
    const show = () => {
      slider.value = this.step;
      holder.replaceChildren(drawNetwork(this.pass, this.switches.k, steps[this.step]));
      words.replaceChildren(
        el("strong", {}, `Step ${this.step + 1} of ${steps.length}. `),
        steps[this.step].text,
        m > 1 ? ` (example ${this.switches.k + 1})` : "",
      );
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
    figure.append(
      el(
        "div",
        { class: "sweep" },
        button("◀", "one step back", -1),
        slider,
        button("▶", "one step on", 1),
      ),
      words,
      holder,
      el(
        "p",
        { class: "legend" },
        el("span", { class: "key plus" }),
        " above 0 ",
        el("span", { class: "key minus" }),
        " below 0. The fill of a unit is its a, the ring its δ, and a wide wire a large Θ.",
      ),
    );
    this.step = Math.min(this.step, steps.length - 1);
    show();
    return figure;
  }

  /** A place as a button that leads to it. */
  chip(of) {
    const node = el(
      "button",
      { type: "button", class: "chip", "data-goes": of },
      symbolOf(this.data, of),
    );
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
      this.explanation.replaceChildren(
        el("p", { class: "hint" }, "Point at a number to see the sum " + "that makes it."),
      );
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
    const mark = (at, kind) =>
      this.views.forEach((view) => {
        if (view.cells.has(at)) view.mark(at, kind);
      });
    mark(of, "current");
    this.pass.operands(of).forEach((at) => mark(at, "operand"));
    this.pass.uses(of).forEach((at) => mark(at, "user"));
  }
}

const board = new Board(JSON.parse(document.getElementById("data").textContent));
