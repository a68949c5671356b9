"use strict";
// The committed page in parts: its data, its script in node, and pages with other data.

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const root = path.join(__dirname, "../..");
const read = (file) => fs.readFileSync(path.join(root, file), "utf8");
const OPEN = '<script type="application/json" id="data">';

/** Splits a page at its data. */
function split(page) {
  const [before, rest] = page.split(OPEN);
  const end = rest.indexOf("</script>");
  return { before: before + OPEN, data: rest.slice(0, end), after: rest.slice(end) };
}

const page = read("docs/traces/2-3-2.html");
const expected = JSON.parse(read("tests/page/expected.json"));
/** A fresh copy of the data of the committed page. */
const data = () => JSON.parse(split(page).data);

/** The committed page with other data. */
function withData(other) {
  const { before, after } = split(page);
  return before + JSON.stringify(other).replaceAll("<", "\\u003c") + after;
}

/** The numbers and the lines of the page's script, which do not touch the document. */
function script() {
  const files = ["places.js", "model.js", "uses.js", "lines.js"].map((file) =>
    read(`src/trace_page/${file}`),
  );
  const names = "{ Pass, COSTS, entry, linesOf, parts, place }";
  return vm.runInNewContext(`${files.join("\n")}\n(${names})`);
}

/** All places of a page whose numbers the data hold. */
function places({ layers, blocks, x, y, costs }) {
  const of = (what, n, matrix) =>
    (matrix?.values ?? []).map(
      (_, at) => `${what}.${n}.${at % matrix.rows}.${Math.floor(at / matrix.rows)}`,
    );
  const last = layers.length + 1;
  return [
    of("a", 1, x),
    of("y", last, y),
    of("cost", last, costs),
    of("u", last, undefined),
    ...layers.flatMap((layer, l) =>
      ["z", "a", "delta", "slope"].map((what) => of(what, l + 2, layer[what])),
    ),
    ...blocks.flatMap((block) =>
      ["theta", "sum", "d"].map((what) => of(what, block.number, block[what])),
    ),
  ].flat();
}

module.exports = { data, expected, page, places, read, root, script, withData };
