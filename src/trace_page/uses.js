// What a number may go into.

/** A superset of the places whose sums use a number. */
function candidates(pass, { what, n, i, k }) {
  const { data } = pass;
  const units = (m) => range(pass.activations(m)?.rows ?? 0);
  const column = (name, m) => units(m).map((r) => place(name, m, r, k));
  if (what === "theta") {
    const above = data.blocks[n].dense;
    const users = [place("d", n, i, k)];
    if (!above) return users;
    const below = k - data.blocks[n].exempt;
    return users.concat(
      range(data.x.cols).flatMap((e) => [
        place("z", above, i, e),
        ...(above > 2 && below >= 0
          ? units(above - 1).map((r) => place("delta", above - 1, r, e))
          : []),
      ]),
    );
  }
  if (what === "sum") return [place("d", n, i, k)];
  // A softmax has no slope of single units.
  const slopes = known(pass.layer(n)?.slope) ? [place("slope", n, i, k)] : [];
  if (what === "z") return [...column("a", n), ...slopes];
  if (what === "slope" || what === "u") return column("delta", n);
  if (what === "y") return [place("cost", pass.last, 0, k), ...column("delta", pass.last)];
  const next = pass.layer(n + 1);
  if (what === "a") {
    const users = n === pass.last ? [place("cost", n, 0, k)] : [];
    if (n > 1) users.push(...slopes, ...column("delta", n));
    if (!next?.dense) return users;
    const { number, rows, exempt } = pass.block(n + 1);
    const sums = range(rows).map((r) => place("sum", number, r, i + exempt));
    return [...users, ...column("z", n + 1), ...sums];
  }
  if (what === "delta") {
    const block = pass.block(n);
    if (!block) return [];
    const sums = range(block.cols).map((j) => place("sum", block.number, i, j));
    return n > 2 ? [...column("delta", n - 1), ...sums] : sums;
  }
  return [];
}
