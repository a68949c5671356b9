"use strict";
// Draws docs/figures/page.png, the committed page at its last step with an entry of D explained.

const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

async function draw(root) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  const page = await browser.newPage({ viewport: { width: 1240, height: 692 } });
  await page.goto(pathToFileURL(path.join(root, "docs/traces/2-3-2.html")).href);
  await page.press("input[type=range]", "End");
  await page.focus('td[data-place="d.1.0.2"]');
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: path.join(root, "docs/figures/page.png") });
  await browser.close();
}

draw(path.join(__dirname, "../.."));
