// The lines of the pass as nodes of the page: words, matrices, J, ∇J and the gradient check.

class Sections {
  /** A number of an equation, as a link to it. */
  equation([number, anchor]) {
    return el(
      "a",
      {
        class: "equation",
        href: `${this.data.derivation}#${anchor}`,
        "aria-label": `equation ${number} of the derivation`,
      },
      `(${number})`,
    );
  }

  line({ key, what, n, of, title, formula, equation, why, proof, inside }) {
    const words = el("p", {}, why, proof ? el("span", { class: "proof" }, ` ${proof}`) : undefined);
    return el(
      "article",
      { class: "line", id: key.replace(".", "-") },
      this.head(title, formula, equation, words),
      el("div", { class: "matrix" }, this.matrix({ what, n, of, title })),
      inside?.map((inner) => this.inner(inner)) ?? [],
    );
  }

  /** The title, the formula and the words of a line. */
  head(title, formula, equation, ...words) {
    return el(
      "div",
      { class: "words" },
      el("h3", {}, title),
      el(
        "div",
        { class: "formula" },
        markup("span", { class: "scroll" }, formula),
        equation ? this.equation(equation) : undefined,
      ),
      words,
    );
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
      const pixels = range(image[0]).map((r) =>
        range(image[1]).map((c) => place("a", 1, r * image[1] + c, example)),
      );
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
      if (block?.dense) return k < bias ? "bias" : `${bias ? k : k + 1}`;
      if (block) return k < bias ? "exempt" : `${k + 1}`;
      return many ? `ex. ${k + 1}` : "";
    });
    const rowNames = range(rows).map((i) => (what === "cost" ? "" : `${i + 1}`));
    const extra =
      what === "d" || what === "sum" || what === "z" || what === "delta"
        ? (cell, at) => this.judge(cell, at)
        : undefined;
    const view = new TableView(this, { places, label: title, rowNames, colNames, bias, extra });
    if (what === "d") this.markWorst(view);
    return this.add(view);
  }

  /** Marks the entry of D with the largest relative error. */
  markWorst(view) {
    const errors = [...view.cells].map(([of, cell]) => {
      const { n, i, k } = parts(of);
      return { cell, relative: this.pass.central(n, i, k)?.relative ?? -1 };
    });
    const { cell, relative } = errors.reduce((most, of) =>
      of.relative > most.relative ? of : most,
    );
    if (relative < 0) return;
    cell.classList.add("worst");
    cell.querySelector(".check").append(", the largest");
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
    cell.append(
      el(
        "small",
        { class: "check" },
        verdict === "wrong" ? "≠ " : "≈ ",
        single(Number(central.numeric.toPrecision(5))),
        el("br", {}),
        `error ${relative === 0 ? "0" : signed(relative.toExponential(0))}`,
      ),
    );
  }

  /** A layer inside another: the values that the trace has. */
  inner({ label, depth, name, z, a, delta }) {
    const given = (symbolName, of) =>
      of ? [el("p", { class: "caption" }, `${symbolName}, ${shapeOf(of)}`), plain(of)] : [];
    return el(
      "details",
      { class: "inner wide", style: `margin-left:${depth - 2}em` },
      el("summary", {}, `${label}: ${name}`),
      ...given("z", z),
      ...given("a", a),
      ...given("δ", delta),
    );
  }

  objective() {
    const { data, total, penalty } = this.pass.objective();
    const traced = this.data.objective.total;
    const m = divisor(this.data);
    const formula = math(
      mi("J"),
      mo("="),
      fraction(mn(1), m),
      mo("("),
      mo("Σ"),
      this.data.weights ? mi("w") : "",
      mi("cost"),
      mo("+"),
      mi("Ω"),
      mo(")"),
    );
    const number = (x) => el("span", { class: "number", "data-value": x }, single(x));
    const wrong =
      this.pass.traced &&
      Math.abs(total - traced) > 1e3 * this.data.epsilon * (Math.abs(data) + penalty);
    const words = "The mean of the costs, and the penalty Ω. Both are divided by m once.";
    return el(
      "article",
      { class: "line", id: "objective" },
      this.head("Objective", formula, ["6", "objective"], el("p", {}, words)),
      el(
        "p",
        { class: `total${wrong ? " wrong" : ""}` },
        "J = ",
        number(data),
        " + ",
        number(penalty),
        " = ",
        number(total),
      ),
    );
  }

  /** ∇J, with the place of each entry. */
  unrolled() {
    const { blocks } = this.data;
    const count = blocks.reduce((all, { rows, cols }) => all + rows * cols, 0);
    const named = blocks
      .slice(0, 3)
      .flatMap(({ dense, label }, b) => [
        b ? mo(";") : "",
        dense ? symbol("D", dense - 1) : `<mtext>${escaped(label)}</mtext>`,
        "<mtext>(:)</mtext>",
      ]);
    const formula = math(
      mo("∇"),
      mi("J"),
      mo("="),
      mo("["),
      ...named,
      blocks.length > 3 ? mo("; …") : "",
      mo("]"),
    );
    const intro = this.head(
      "Unrolled gradient",
      formula,
      ["23", "unrolled"],
      el(
        "p",
        {},
        `The ${count} entries of D, block by block and column by column, as the vector that a ` +
          "method of learning takes. It steps against this vector.",
      ),
    );
    intro.classList.add("wide");
    const places = blocks.flatMap(({ number, rows, cols }) =>
      range(cols).flatMap((j) => range(rows).map((i) => place("d", number, i, j))),
    );
    const node = el("article", { class: "line", id: "unrolled" }, intro);
    if (blocks.some(({ d }) => !known(d))) {
      node.append(el("p", {}, "It is too long to list here."));
    } else if (count > 160) {
      const rows = range(Math.ceil(count / 64)).map((r) =>
        range(64).map((c) => places[64 * r + c]),
      );
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
    const worst = rows.reduce(
      (all, row) => (row.worst && !(row.worst.relative <= (all?.relative ?? -1)) ? row.worst : all),
      undefined,
    );
    const titles = ["block", "compared", "relative error", "worst entry", "verdict"];
    const theta = (sign) => [mi("J"), paren(row(mi("θ"), mo(sign), mi("h")))];
    const formula = math(
      symbol("D"),
      mo("≈"),
      fraction(row(...theta("+"), mo("−"), ...theta("−")), row(mn(2), mi("h"))),
    );
    const head = this.head(
      "Gradient check",
      formula,
      ["27", "central-difference"],
      el(
        "p",
        {},
        "The definition of the derivative is the test: two values of J, with a step h = " +
          `${single(this.data.step)} on each side. The central differences are those of J with ` +
          "all examples, 1/m and λ, so the switches that change D show as errors here.",
      ),
    );
    head.classList.add("wide");
    const body = rows.map(({ cells, wrong }) =>
      el(
        "tr",
        { class: wrong ? "wrong" : undefined },
        cells.map((cell) => el("td", {}, cell)),
      ),
    );
    return el(
      "article",
      { class: "line", id: "check" },
      head,
      el(
        "div",
        { class: "scroll wide" },
        el(
          "table",
          { class: "report" },
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              titles.map((title) => el("th", { scope: "col" }, title)),
            ),
          ),
          el("tbody", {}, body),
        ),
      ),
      worst
        ? el("p", { class: "wide" }, "The largest relative error is at ", this.chip(worst.of), ".")
        : undefined,
      ...rows.map(({ map }) => map).filter(Boolean),
    );
  }

  checkedRow(block) {
    const { number, rows, check, label } = block;
    const all = check.entries.map((entryOf) => {
      const of = place("d", number, entryOf % rows, Math.floor(entryOf / rows));
      return {
        of,
        d: this.pass.value(of),
        ...this.pass.central(number, entryOf % rows, Math.floor(entryOf / rows)),
      };
    });
    const norm = (f) => Math.hypot(...all.map(f));
    const total = norm(({ d }) => d) + norm(({ numeric }) => numeric);
    const complete = all.length === check.compared;
    const relative = !complete
      ? check.relative
      : total === 0
        ? 0
        : norm(({ difference }) => difference) / total;
    const worst = all.reduce(
      (most, of) => (!most || !(of.difference <= most.difference) ? of : most),
      undefined,
    );
    const wrong = all.filter(({ verdict }) => verdict === "wrong").length;
    const verdict = wrong
      ? `wrong, ${wrong} of ${all.length}`
      : this.pass.traced
        ? check.verdict
        : "agrees";
    const map =
      all.length > 1 && complete && block.rows * block.cols > 160
        ? this.errorMap(block, all)
        : undefined;
    return {
      wrong: wrong > 0,
      worst,
      map,
      cells: [
        label,
        `${check.compared} of ${block.rows * block.cols}`,
        signed(relative.toExponential(1)),
        worst ? this.chip(worst.of) : "–",
        verdict,
      ],
    };
  }

  /** The relative errors of a block as an image: dark is 1e-2 and more, pale 1e-12 and less. */
  errorMap({ number, rows, cols, label }, all) {
    const errors = new Map(all.map((of) => [of.of, of.relative]));
    const view = new ImageView(this, {
      places: range(rows).map((i) => range(cols).map((j) => place("d", number, i, j))),
      label: `relative errors of ${label}`,
      colours: () => "",
    });
    view.values = view.places.map((row) => row.map((of) => errors.get(of)));
    view.colours = (x) =>
      `rgba(200,30,60,${Math.min(1, Math.max(0.04, (12 + Math.log10(x || 1e-16)) / 10)).toFixed(
        3,
      )})`;
    view.draw();
    return el(
      "div",
      { class: "wide" },
      el(
        "p",
        { class: "caption" },
        `Relative errors of ${label}: pale is 1e-12, ` + "dark is 1e-2.",
      ),
      this.add(view),
    );
  }
}
