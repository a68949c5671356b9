"use strict";
// The numbers of the page in node: switches, sums and uses. `node --test tests/page/`.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { data, expected, places, read, script } = require("./pages.js");

const { COSTS, Pass, linesOf, parts } = script();

const close = (found, wanted, what) =>
  assert.ok(Math.abs(found - wanted) <= 1e-12, `${what}: ${found}, expected ${wanted}`);

/** D under some switches, as the unrolled vector. */
function gradient(of, switches) {
  const pass = new Pass(of, switches);
  const count = of.blocks.reduce((all, { rows, cols }) => all + rows * cols, 0);
  return Array.from({ length: count }, (_, p) => pass.value(pass.unrolled(p)));
}

test("every switch gives the numbers of the crate", () => {
  assert.ok(expected.cases.length >= 12);
  for (const { page, switches, j, d } of expected.cases) {
    const of = page === "squared" ? expected.squared : data();
    const name = JSON.stringify({ page, ...switches });
    gradient(of, switches).forEach((entry, p) => close(entry, d[p], `${name}, entry ${p}`));
    close(new Pass(of, switches).objective().total, j, `${name}, J`);
  }
});

test("a number is the sum that the page shows", () => {
  for (const of of [data(), expected.squared, expected.softmax]) {
    const pass = new Pass(of, {});
    let sums = 0;
    for (const at of places(of)) {
      const { tokens, value, given } = pass.explain(at);
      if (given || tokens.length === 0) continue;
      sums += 1;
      const { what, n, i, k } = parts(at);
      const traced = { sum: of.blocks[n]?.sum, d: of.blocks[n]?.d, delta: of.layers[n - 2]?.delta }[
        what
      ];
      const wanted = traced ? traced.values[i + traced.rows * k] : pass.value(at);
      close(value, wanted, at);
      assert.ok(!pass.differs(at), at);
    }
    assert.ok(sums > 60, `${sums}`);
  }
});

test("what a number goes into is the reverse of what it is made of", () => {
  for (const switches of [{}, { delta: "slope" }, { delta: "error" }, { examples: "one", k: 1 }]) {
    for (const of of [data(), expected.softmax]) {
      const pass = new Pass(of, switches);
      const all = places(of);
      const made = new Map(all.map((at) => [at, pass.operands(at)]));
      for (const at of all) {
        const users = all.filter((user) => made.get(user).includes(at)).sort();
        assert.deepEqual([...pass.uses(at)].sort(), users, `${at} ${JSON.stringify(switches)}`);
      }
    }
  }
});

test("both ways to δ of a softmax give the D of the crate", () => {
  const of = expected.softmax;
  for (const delta of ["slope", "error"]) {
    gradient(of, { delta }).forEach((d, p) => {
      const at = parts(new Pass(of, {}).unrolled(p));
      const { d: traced } = of.blocks[at.n];
      close(d, traced.values[at.i + traced.rows * at.k], `${delta}, entry ${p}`);
    });
  }
});

test("another λ in the data moves D and J", () => {
  const of = data();
  const before = gradient(of, {});
  of.blocks.forEach((block) => {
    block.l2 += 1.5;
  });
  const after = gradient(of, {});
  const theta = of.blocks.flatMap((block) => block.theta.values);
  const exempt = of.blocks.flatMap(({ rows, cols }) =>
    Array.from({ length: rows * cols }, (_, at) => at < rows),
  );
  after.forEach((d, p) => close(d - before[p], exempt[p] ? 0 : (1.5 * theta[p]) / 3, `entry ${p}`));
  const pass = new Pass(of, {});
  assert.ok(pass.differs("d.0.0.1") && !pass.differs("d.0.0.0"));
});

test("another δ in the data moves Δ and D", () => {
  const of = data();
  const before = gradient(of, {});
  of.layers[0].delta.values[1] += 0.3; // unit 1 of layer 2, example 0
  const after = gradient(of, {});
  const input = [1, of.x.values[0], of.x.values[1]];
  after.forEach((d, p) => {
    const hit = p < 9 && p % 3 === 1;
    close(d - before[p], hit ? (0.3 * input[Math.floor(p / 3)]) / 3 : 0, `entry ${p}`);
  });
  assert.ok(new Pass(of, {}).differs("delta.2.1.0"));
});

test("a wrong D in the data is found", () => {
  const of = data();
  of.blocks[1].d.values[3] += 1e-6;
  const pass = new Pass(of, {});
  const wrong = places(of).filter((at) => pass.differs(at));
  assert.deepEqual(wrong, ["d.1.1.1"]);
});

test("a missing target has no error, and a summary leaves the sums to the trace", () => {
  const of = data();
  of.present = of.y.values.map((_, at) => at !== 0);
  const pass = new Pass(of, {});
  assert.equal(pass.explain("delta.3.0.0").value, 0);
  assert.ok(Number.isNaN(pass.value("y.3.0.0")));
  delete of.x.values;
  const given = new Pass(of, {});
  assert.ok(given.explain("sum.0.0.0").given && given.explain("z.2.0.0") !== undefined);
  close(given.value("sum.0.0.0"), of.blocks[0].sum.values[0], "the given sum");
  assert.ok(Number.isNaN(new Pass(of, { examples: "one" }).value("d.0.0.0")));
});

test("every line names an equation of the derivation", () => {
  const derivation = read("docs/derivation.md");
  const named = [data(), expected.squared]
    .flatMap((of) => Object.values(linesOf(new Pass(of, {}))))
    .flat()
    .map(({ equation }) => equation)
    .filter(Boolean);
  const pairs = Object.values(COSTS).map(({ equation }) => equation);
  const others = [
    ["22", "elastic-net"],
    ["23", "unrolled"],
    ["27", "central-difference"],
    ["7", "error-term"],
    ["13", "recurrence-general"],
  ];
  assert.ok(named.length > 20);
  for (const [number, anchor] of [...named, ...pairs, ...others]) {
    const [, after] = derivation.split(`<a id="${anchor}"></a>`);
    assert.ok(after, anchor);
    assert.equal(after.match(/\\tag\{(\d+)\}/)[1], number, anchor);
  }
});
