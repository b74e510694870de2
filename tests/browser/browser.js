// A browser without a screen, and what tests do with it. Screenshots are kept below target/browser, for people and as
// artefacts of CI; TICKHOST_SCREENSHOTS names another folder.

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";
import { SOON_MS } from "./host.js";

const PICTURES = process.env.TICKHOST_SCREENSHOTS ?? resolve(import.meta.dirname, "../../target/browser");

export async function open() {
  mkdirSync(PICTURES, { recursive: true });
  const executablePath = process.env.CHROMIUM ?? (await chromium.executablePath());
  // Not the arguments that the package has for functions in a cloud: they switch off what a browser protects a page with.
  const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--font-render-hinting=none"];
  return puppeteer.launch({ executablePath, args, headless: "shell" });
}

// A new page that fails the test when a script fails, or when the page asks for anything from elsewhere.
export async function page(browser, { width = 1280, height = 900, dark = false } = {}) {
  const context = await browser.createBrowserContext();
  const tab = await context.newPage();
  await tab.setViewport({ width, height });
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
  tab.setDefaultTimeout(SOON_MS);
  tab.faults = [];
  tab.asked = new Set();
  tab.on("pageerror", (error) => tab.faults.push(String(error.stack ?? error)));
  tab.on("console", (message) => {
    if (message.type() === "error" && /Content Security Policy/.test(message.text())) tab.faults.push(message.text());
  });
  tab.on("request", (request) => tab.asked.add(new URL(request.url()).origin));
  tab.picture = async (name, options = {}) => {
    await tab.screenshot({ path: join(PICTURES, `${name}.png`), ...options });
  };
  return tab;
}

// What is waited for with `waitForFunction` must not throw, as for an element that is not there yet: it is not asked again then.

// Waits until the text of what `selector` finds matches.
export function shows(tab, selector, pattern) {
  return tab.waitForFunction(
    (query, source) => [...document.querySelectorAll(query)].some((element) => new RegExp(source).test(element.textContent)),
    {}, selector, pattern.source,
  );
}

export function texts(tab, selector) {
  return tab.$$eval(selector, (elements) => elements.map((element) => element.textContent.trim()));
}
