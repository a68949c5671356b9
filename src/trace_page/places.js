"use strict";
// The names of the numbers of the page.
//
// A place is a string "what.n.i.k". For a, z, slope, delta, u and y, n is the course's number of
// the layer, i the unit and k the example. For theta, sum and d, n is the number of the block, and
// (i, k) the entry. All indices count from 0 here; the page shows units and examples from 1.

/** Switches as the crate computes: all examples, 1/m, λ, the bias exempt, δ as traced. */
const AS_TRACED = { examples: "all", k: 0, mean: true, lambda: true, bias: false, delta: "traced" };

/** The costs whose formula the page writes out. */
const COSTS = {
  BinaryCrossEntropy: { link: "Sigmoid", equation: ["9", "output-error"] },
  CategoricalCrossEntropy: { link: "Softmax", equation: ["15", "softmax-error"] },
  SquaredError: { link: "Identity", equation: ["16", "other-pairs"] },
  Poisson: { link: "Exponential", equation: ["16", "other-pairs"] },
};

const place = (what, n, i, k) => `${what}.${n}.${i}.${k}`;

/** Reads a place. */
function parts(of) {
  const [what, n, i, k] = of.split(".");
  return { what, n: Number(n), i: Number(i), k: Number(k) };
}

/** Entry (i, k) of a matrix of the data, NaN where the data has only a summary. */
function entry(matrix, i, k) {
  return matrix?.values?.[i + matrix.rows * k] ?? NaN;
}

const known = (matrix) => Boolean(matrix?.values);
const range = (length) => Array.from({ length }, (_, i) => i);
