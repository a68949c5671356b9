"use strict";
// The committed page in a headless Chromium. CHROMIUM names the browser, and NODE_PATH a folder
// with playwright-core: `.ci/run` installs both.

const assert = require("node:assert/strict");
const { after, before, test } = require("node:test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");
const { data, expected, page: committed, places, root, script, withData } = require("./pages.js");

const { Pass } = script();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "backprop-page-"));
const SIZES = [360, 768, 1440];
let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
});

after(async () => {
  await browser?.close();
  fs.rmSync(folder, { recursive: true });
});

/** Opens a page. It may write no error to the console and ask for nothing. */
async function open(html, options = {}) {
  const file = path.join(folder, `${Math.random()}.html`);
  fs.writeFileSync(file, html);
  const url = pathToFileURL(file).href;
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, ...options });
  page.faults = [];
  page.on("console", (message) => page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("request", (request) => request.url() !== url && page.faults.push(request.url()));
  await page.goto(url);
  return page;
}

/** Closes a page, which has done nothing that it may not. */
async function close(page) {
  assert.deepEqual(page.faults, []);
  await page.close();
}

/** A page of the test `--test docs`, which also measures its size. */
function large(name) {
  const file = path.join(root, "target/pages", name);
  assert.ok(fs.existsSync(file), `${file} is missing: run cargo test --test docs first`);
  return fs.readFileSync(file, "utf8");
}

/** Sets the switches of a page with the mouse and the keyboard. */
async function set(
  page,
  { examples = "all", k = 0, mean = true, lambda = true, bias = false, delta = "traced" },
) {
  await page.check(`input[name=examples][value=${examples}]`);
  await page.fill("input[name=k]", String(k + 1));
  await page.press("input[name=k]", "Enter");
  await page.setChecked("input[name=mean]", mean);
  await page.setChecked("input[name=bias]", bias);
  await page.setChecked("input[name=lambda]", lambda);
  await page.check(`input[name=delta][value=${delta}]`);
}

const near = (found, wanted, what) =>
  assert.ok(Math.abs(found - wanted) <= 1e-12, `${what}: ${found}, expected ${wanted}`);

/** The numbers of D on the page, in the order of the unrolled vector. */
const gradient = (page) =>
  page.$$eval(".entries li", (all) => all.map((li) => Number(li.dataset.value)));

test("every switch shows the numbers of the crate", async () => {
  const pages = {
    squared: await open(withData(expected.squared)),
    undefined: await open(committed),
  };
  for (const { page: name, switches, j, d } of expected.cases) {
    const page = pages[name];
    await set(page, switches);
    const found = await gradient(page);
    assert.equal(found.length, d.length);
    found.forEach((x, p) => near(x, d[p], `${JSON.stringify(switches)}, entry ${p}`));
    const cells = await page.$$eval("[id^=d-] td[data-place]", (all) =>
      all.map((td) => [td.dataset.place, Number(td.dataset.value)]),
    );
    const pass = new Pass(data(), {});
    const order = d.map((_, p) => pass.unrolled(p));
    cells.forEach(([of, x]) => near(x, d[order.indexOf(of)], of));
    const total = await page.$eval(".total .number:last-child", (n) => Number(n.dataset.value));
    near(total, j, `${JSON.stringify(switches)}, J`);
    const traced =
      Object.keys(switches).length === 0 ||
      switches.delta === "slope" ||
      (switches.delta === "error" && name !== "squared");
    const wrong = await page.$$eval("[id^=d-] td.wrong", (all) => all.length);
    assert.equal(wrong > 0, !traced, `${JSON.stringify(switches)}: ${wrong} wrong entries`);
  }
  await Promise.all(Object.values(pages).map(close));
});

test("every number shows its sum, its operands and its uses", async () => {
  const page = await open(committed);
  for (const switches of [{}, { delta: "slope", examples: "one", k: 2 }]) {
    await set(page, switches);
    const pass = new Pass(data(), switches);
    const cells = await page.$$eval("td[data-place]", (all) => all.map((td) => td.dataset.place));
    assert.ok(cells.length > 80, `${cells.length}`);
    for (const of of cells) {
      await page.hover(`td[data-place="${of}"]`);
      const marks = (kind) => page.$$eval(`td.${kind}`, (all) => all.map((td) => td.dataset.place));
      const on = (all) => [...all].filter((at) => cells.includes(at)).sort();
      assert.deepEqual(await marks("current"), [of]);
      assert.deepEqual((await marks("operand")).sort(), on(pass.operands(of)), of);
      assert.deepEqual((await marks("user")).sort(), on(pass.uses(of)), of);
      const shown = await page.$eval(".panel h2 .number", (n) => Number(n.dataset.value));
      near(shown, pass.value(of), of);
      const terms = await page.$$eval(".panel .sum:first-of-type .term", (all) =>
        all.map((term) => term.dataset.place),
      );
      const operands = pass.operands(of);
      assert.ok(
        operands.every((at) => terms.includes(at)),
        of,
      );
    }
  }
  await close(page);
});

test("the page works without a mouse", async () => {
  const page = await open(committed);
  const place = () => page.evaluate(() => document.activeElement.dataset.place);
  for (let tabs = 0; (await place()) === undefined; tabs += 1) {
    assert.ok(tabs < 40, "no number is reached");
    await page.keyboard.press("Tab");
  }
  assert.equal(await place(), "a.1.0.0");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await place(), "a.1.1.1");
  assert.match(await page.textContent(".panel h2"), /0\.25$/);
  // A use leads on; its button is in the order of the keys.
  await page.focus(".panel .chip");
  await page.keyboard.press("Enter");
  assert.equal(await place(), "z.2.0.1");
  await page.focus("input[name=lambda]");
  await page.keyboard.press("Space");
  assert.match(await page.textContent(".warnings"), /Without λ/);
  await page.focus("input[type=range]");
  await page.keyboard.press("ArrowRight");
  assert.match(await page.textContent("figcaption"), /^Step 2 of/);
  const names = await page.$$eval("input, button, canvas, a, table[role=grid], ol.entries", (all) =>
    all
      .filter((n) => !(n.getAttribute("aria-label") || n.closest("label") || n.textContent.trim()))
      .map((n) => n.outerHTML),
  );
  assert.deepEqual(names, []);
  await close(page);
});

test("an edit of λ or of a δ in the data moves D on the page", async () => {
  const before = await open(committed);
  const old = await gradient(before);
  const other = data();
  other.blocks.forEach((block) => {
    block.l2 += 1.5;
  });
  other.layers[1].delta.values[0] += 0.25;
  const page = await open(withData(other));
  const theta = other.blocks.flatMap(({ theta: { values } }) => values);
  const a = [1, ...other.layers[0].a.values.slice(0, 3)];
  (await gradient(page)).forEach((d, p) => {
    const [start, rows] = p < 9 ? [0, 3] : [9, 2];
    const column = Math.floor((p - start) / rows);
    const pull = column > 0 ? (1.5 * theta[p]) / 3 : 0;
    const error = p >= 9 && (p - 9) % 2 === 0 ? (0.25 * a[column]) / 3 : 0;
    near(d - old[p], pull + error, `entry ${p}`);
  });
  await close(before);
  await close(page);
});

test("the entry of D with the largest relative error is marked", async () => {
  const page = await open(committed);
  const worst = await page.$$eval("td.worst", (all) => all.map((td) => td.dataset.place));
  const expectedWorst = data().blocks.map(({ number, rows, d, check }) => {
    const errors = d.values.map((x, at) => {
      const numeric = check.numeric[check.entries.indexOf(at)];
      return Math.abs(x - numeric) / (Math.abs(x) + Math.abs(numeric));
    });
    const at = errors.indexOf(Math.max(...errors));
    return `d.${number}.${at % rows}.${Math.floor(at / rows)}`;
  });
  assert.deepEqual(worst.sort(), expectedWorst.sort());
  await close(page);
});

test("a wrong D shows as wrong", async () => {
  const other = data();
  other.blocks[0].d.values[4] *= 1.01;
  const page = await open(withData(other));
  const wrong = await page.$$eval("td.wrong", (all) => all.map((td) => td.dataset.place));
  assert.deepEqual(wrong, ["d.0.1.1"]);
  await page.hover("td.wrong");
  assert.match(await page.textContent(".panel .verdict.wrong"), /^Wrong: the trace has/);
  await close(page);

  // A central difference that disagrees: the derivative of the network would be wrong.
  const { numeric } = other.blocks[1].check;
  numeric[2] += 0.1;
  const checked = await open(
    withData({
      ...data(),
      blocks: [
        data().blocks[0],
        {
          ...data().blocks[1],
          check: {
            ...data().blocks[1].check,
            numeric,
            verdicts: numeric.map((_, at) => (at === 2 ? "wrong" : "agrees")),
          },
        },
      ],
    }),
  );
  const found = await checked.$$eval("td.wrong", (all) => all.map((td) => td.dataset.place));
  assert.deepEqual(found, ["d.1.0.1"]);
  assert.match(await checked.textContent(".report tr.wrong"), /wrong, 1 of 8/);
  await close(checked);
});

test("names are shown and not run", async () => {
  const evil = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>";
  const other = data();
  other.title = evil;
  other.layers[0].name = evil;
  other.layers[0].dense = false;
  other.blocks[0].label = evil;
  other.blocks[0].dense = 0;
  other.layers[0].inside = [
    { label: evil, depth: 2, name: evil, z: null, a: other.x, delta: null },
  ];
  const page = await open(withData(other));
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.textContent("h1"), evil);
  assert.ok((await page.textContent("main")).split(evil).length > 5);
  assert.equal(await page.$$eval("img", (all) => all.length), 0);
  for (const of of ["d.0.0.0", "sum.0.1.1", "theta.0.0.0"]) {
    await page.hover(`td[data-place="${of}"]`);
    assert.ok((await page.textContent(".panel h2")).includes(evil));
  }
  await close(page);
});

/** Returns texts with less contrast than WCAG's level AA asks for. */
function pale() {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = ({ rgb, a }, below) => rgb.map((x, c) => x * a + below[c] * (1 - a));
  const luminance = (rgb) =>
    rgb
      .map((x) => x / 255)
      .map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
      .reduce((all, x, c) => all + x * [0.2126, 0.7152, 0.0722][c], 0);
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() || node.closest("script, noscript, .unused")) {
      continue;
    }
    const chain = [];
    for (let at = node; at; at = at.parentElement) chain.unshift(at);
    let back = [255, 255, 255];
    chain.forEach((at) => {
      const style = getComputedStyle(at);
      back = over(parse(style.backgroundColor), back);
      // Numbers have a pale tint over a colour of the card.
      const layers = style.backgroundImage.match(/rgba?\([^)]*\)/g);
      if (layers) back = over(parse(layers[0]), back);
    });
    const style = getComputedStyle(node);
    const colour = over(parse(node.closest("svg") ? style.fill : style.color), back);
    const [light, dark] = [luminance(colour), luminance(back)].sort((a, b) => b - a);
    const large = parseFloat(style.fontSize) >= 24;
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 90)}`);
  }
  return [...found];
}

test("the page fits phones and screens, light and dark, with enough contrast", async () => {
  for (const html of [committed, large("64-25-10.html"), large("tree.html")]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(html, { colorScheme });
      for (const width of SIZES) {
        await page.setViewportSize({ width, height: 800 });
        const overflow = () =>
          page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
          );
        assert.equal(await overflow(), 0, `${width}`);
        await page.setChecked("input[name=lambda]", false);
        await page.$$eval("details", (all) =>
          all.forEach((node) => {
            node.open = true;
          }),
        );
        await page.evaluate(() => [...document.querySelectorAll("td[data-place]")].pop()?.focus());
        assert.equal(await overflow(), 0, `${width} with an explanation`);
        assert.deepEqual(await page.evaluate(pale), [], `${width} ${colorScheme}`);
        await page.setChecked("input[name=lambda]", true);
      }
      await page.emulateMedia({ media: "print", colorScheme });
      assert.equal(await page.isVisible(".side"), false);
      assert.deepEqual(await page.evaluate(pale), [], `${colorScheme} on paper`);
      await close(page);
    }
  }
});

test("a page of 64-25-10 opens in under a second, with images that explain numbers", async () => {
  const html = large("64-25-10.html");
  const times = [];
  for (let trial = 0; trial < 3; trial += 1) {
    const page = await open(html);
    times.push(
      await page.evaluate(
        () => performance.timing.loadEventEnd - performance.timing.navigationStart,
      ),
    );
    if (trial === 0) {
      const canvas = page.locator("#theta-0 canvas");
      await canvas.focus();
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowDown");
      const of = JSON.parse(html.split('id="data">')[1].split("</script>")[0]).blocks[0];
      const shown = await page.$eval(".panel h2 .number", (n) => Number(n.dataset.value));
      assert.equal(shown, of.theta.values[1 + of.rows]);
      await page.locator("#d-0 canvas").hover({ position: { x: 2, y: 2 } });
      const first = await page.$eval(".panel h2 .number", (n) => Number(n.dataset.value));
      near(first, of.d.values[0], "the first entry of D");
    }
    await close(page);
  }
  assert.ok(Math.min(...times) < 1000, `${times} ms`);
});

test("without scripts, the page shows the tables of the trace", async () => {
  const page = await open(committed, { javaScriptEnabled: false });
  assert.match(await page.textContent("noscript pre, pre"), /δ⁽³⁾ = ∂cost\/∂z⁽³⁾ \(2 × 3\)/);
  await close(page);
});

test("every place of the data is on the page", async () => {
  const page = await open(committed);
  const shown = await page.$$eval("[data-place]", (all) => all.map((n) => n.dataset.place));
  const hidden = places(data()).filter((of) => !of.startsWith("slope") && !shown.includes(of));
  assert.deepEqual(hidden, []);
  await close(page);
});
