// The console as a person uses it: opened by its link, clicked, typed into, and looked at.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, get } from "node:http";
import { createConnection } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { open, page, shows, texts } from "./browser.js";
import { Host } from "./host.js";

let browser;
before(async () => { browser = await open(); });
after(async () => { await browser?.close(); });

// Opens the console of a host and waits until it shows something.
async function console_(host, options) {
  const tab = await page(browser, options);
  await tab.goto(host.link);
  await tab.waitForSelector(".tiles");
  return tab;
}

async function view(tab, name) {
  await tab.click(`nav a[href="#${name}"]`);
  await tab.waitForSelector(`nav a[href="#${name}"][aria-current="page"]`);
}

async function connect(tab) {
  await view(tab, "playground");
  await tab.waitForFunction(() => document.querySelector("#pg-key")?.value.startsWith("th_"));
  await tab.click('form[aria-label="Connection"] button');
  await shows(tab, "#pg-state", /logged in/);
}

async function subscribe(tab, symbol, mode, levels) {
  await tab.select("#pg-mode", mode);
  if (levels) await tab.select("#pg-depth", String(levels));
  await tab.type("#pg-symbol", symbol);
  await tab.click('form[aria-label="Subscribe"] button');
}

// The row of a subscription, by its cells' texts.
function row(tab, symbol, mode) {
  return tab.evaluate((symbol, mode) => {
    const rows = [...document.querySelectorAll('table[aria-label="Subscriptions"] tbody tr')];
    const found = rows.find((row) => row.cells[0].textContent === symbol && row.cells[1].textContent === mode);
    return found ? [...found.cells].map((cell) => cell.textContent) : null;
  }, symbol, mode);
}

async function done(tab) {
  assert.deepEqual(tab.faults, []);
  await tab.browserContext().close();
}

// A client that subscribes to many symbols and then reads nothing more.
function stoppedClient(host, symbols) {
  const names = readFileSync(join(host.data, "cache", "sim", "sim", "names.txt"), "utf8").split("\n").filter((name) => name.startsWith("NSE:")).slice(0, symbols);
  const frame = (message) => {
    const bytes = Buffer.from(JSON.stringify(message));
    const mask = Buffer.alloc(4);
    const head = bytes.length < 126 ? Buffer.from([0x81, 0x80 | bytes.length]) : Buffer.from([0x81, 0xfe, bytes.length >> 8, bytes.length & 0xff]);
    return Buffer.concat([head, mask, bytes]);
  };
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: "127.0.0.1", port: host.ports.websocket }, () => {
      socket.write(`GET / HTTP/1.1\r\nHost: ${host.websocket}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`);
    });
    socket.once("error", reject);
    socket.once("data", () => {
      socket.pause();
      socket.write(frame({ action: "authenticate", api_key: host.key }));
      socket.write(frame({ action: "subscribe", symbols: names, mode: "Quote" }));
      resolve(socket);
    });
  });
}

function ask(address, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const [host, port] = [address.slice(0, address.lastIndexOf(":")), address.slice(address.lastIndexOf(":") + 1)];
    get({ host, port, path, headers: { Host: address, ...headers } }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text) => { body += text; }).on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
    }).on("error", reject);
  });
}

describe("a host as a newcomer has it", () => {
  let host;
  before(async () => { host = await Host.start(); });
  after(async () => { await host?.stop(); });

  test("the link opens the console, and the token does not stay in the address bar", async () => {
    const tab = await console_(host);
    assert.equal(await tab.evaluate(() => location.hash), "#overview");
    assert.equal(await tab.evaluate(() => document.cookie), "");
    assert.match((await texts(tab, "#ready"))[0], /ready/);
    assert.match((await texts(tab, ".empty"))[0], /No feed runs/);
    await tab.picture("overview-empty");
    await tab.reload();
    await tab.waitForSelector(".tiles");
    // Everything came from the host itself.
    assert.deepEqual([...tab.asked], [`http://${host.admin}`]);
    await done(tab);
  });

  test("without the token, or with a wrong one, nothing is shown; pasted into the field it opens", async () => {
    const tab = await page(browser);
    await tab.goto(`http://${host.admin}/console`);
    await tab.waitForSelector("#token");
    assert.equal(await tab.$(".tiles"), null);
    await tab.type("#token", "0".repeat(32));
    await tab.keyboard.press("Enter");
    await shows(tab, ".gate .warning", /does not open this host/);
    await tab.picture("gate");
    await tab.type("#token", host.link);
    await tab.keyboard.press("Enter");
    await tab.waitForSelector(".tiles");
    await done(tab);
  });

  test("the playground finds a symbol by typing, and shows what its client gets", async () => {
    const tab = await console_(host);
    await connect(tab);
    // With the keyboard alone: type, choose from the list, take it.
    await tab.focus("#pg-symbol");
    await tab.keyboard.type("sbi");
    await tab.waitForSelector("#pg-found li[role=option]");
    const found = await texts(tab, "#pg-found li");
    assert.ok(found.some((text) => /^SBIN NSE$/.test(text)), found.join("; "));
    const place = found.findIndex((text) => /^SBIN NSE$/.test(text));
    for (let at = 0; at <= place; at += 1) await tab.keyboard.press("ArrowDown");
    await tab.picture("playground-search");
    await tab.keyboard.press("Enter");
    assert.equal(await tab.$eval("#pg-symbol", (input) => input.value), "NSE:SBIN");
    await tab.select("#pg-mode", "Quote");
    await tab.focus("#pg-symbol");
    await tab.keyboard.press("Enter");
    await subscribe(tab, "CRYPTO:BTC_INR", "LTP");
    await subscribe(tab, "NSE:SBIN", "Depth", 20);
    await subscribe(tab, "NSE:BAD1", "Quote");
    await tab.waitForFunction(() => [...document.querySelectorAll("td .badge")].filter((badge) => badge.textContent === "● ticks").length === 3);
    await shows(tab, "td .badge", /failed: Symbol BAD1 not found/);

    await tab.waitForFunction(() => document.querySelectorAll(".ladder tbody tr").length === 20);
    const best = await tab.$eval(".ladder tbody tr", (line) => [...line.cells].map((cell) => Number(cell.textContent.replaceAll(",", ""))));
    assert.ok(best[2] > 0 && best[2] < best[3], `bid ${best[2]}, ask ${best[3]}`);
    await tab.waitForFunction(() => (document.querySelector(".spark path")?.getAttribute("d") ?? "").split("L").length > 5);
    await tab.picture("playground");

    // The key is nowhere in what is shown.
    assert.ok(!(await tab.evaluate(() => document.body.textContent)).includes(host.key));
    const raw = await texts(tab, ".frames code");
    assert.ok(raw.every((frame) => JSON.parse(frame)));
    await tab.select("#pg-kinds", "others");
    await tab.waitForFunction(() => [...document.querySelectorAll(".frames code")].every((frame) => !frame.textContent.includes("market_data")));
    assert.ok((await texts(tab, ".frames li")).some((frame) => frame.includes('"api_key":"…"')));

    await tab.click('button[aria-label="Unsubscribe BTC_INR LTP"]');
    await shows(tab, ".frames code", /"type":"unsubscribe","status":"success"/);
    assert.equal(await row(tab, "CRYPTO:BTC_INR", "LTP"), null);
    await done(tab);
  });

  test("each price in the table is one that the host sent for that very symbol", async () => {
    const tab = await console_(host);
    const sent = new Map();
    const devtools = await tab.createCDPSession();
    await devtools.send("Network.enable");
    devtools.on("Network.webSocketFrameReceived", ({ response }) => {
      const frame = JSON.parse(response.payloadData);
      if (frame.type !== "market_data" || frame.ltp === undefined) return;
      const name = `${frame.exchange}:${frame.symbol}`;
      sent.set(name, (sent.get(name) ?? new Set()).add(frame.ltp));
    });
    await connect(tab);
    const symbols = ["NSE:SBIN", "BSE:SBIN", "NSE:INFY", "NSE:TCS", "NSE_INDEX:NIFTY"];
    for (const symbol of symbols) await subscribe(tab, symbol, "LTP");
    await tab.waitForFunction((wanted) => [...document.querySelectorAll("td .badge")].filter((badge) => badge.textContent === "● ticks").length === wanted, {}, symbols.length);
    for (let round = 0; round < 20; round += 1) {
      for (const symbol of symbols) {
        const shown = Number((await row(tab, symbol, "LTP"))[3].replaceAll(",", ""));
        assert.ok(sent.get(symbol)?.has(shown), `${symbol} shows ${shown}, which was never sent for it`);
      }
      await new Promise((next) => setTimeout(next, 50));
    }
    await done(tab);
  });

  test("text that comes from outside is only ever text", async () => {
    const tab = await console_(host);
    await connect(tab);
    await subscribe(tab, "NSE:<img src=x onerror=alert(1)>", "LTP");
    await shows(tab, "td .badge", /failed/);
    assert.equal(await tab.$("main img"), null);
    // And what somebody managed to put into the page would not run.
    const ran = await tab.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      return window.ran === true;
    });
    assert.equal(ran, false);
    assert.equal(tab.faults.length, 1);
    assert.match(tab.faults[0], /Content Security Policy/);
    await tab.browserContext().close();
  });

  test("the overview plots the last minutes, and arrow keys read them", async () => {
    const tab = await console_(host);
    await connect(tab);
    await subscribe(tab, "NSE:RELIANCE", "Quote");
    await view(tab, "overview");
    await shows(tab, 'table[aria-label="Feeds"] .badge', /● live/);
    await shows(tab, ".tile b", /^[1-9][0-9.]*\/s$/);
    await tab.waitForFunction(() => {
      const paths = [...document.querySelectorAll(".chart .line")].map((path) => path.getAttribute("d") ?? "");
      // Ticks and both latencies: nothing conflates here.
      return paths.slice(0, 6).every((path) => path.split("L").length > 3);
    });
    assert.match((await texts(tab, ".chart:nth-child(2) .legend b"))[0], /^[0-9.]+ (µs|ms)$/);
    await tab.$eval(".chart:nth-child(1) svg", (chart) => chart.focus());
    await tab.keyboard.press("ArrowLeft");
    await tab.keyboard.press("ArrowLeft");
    assert.match((await texts(tab, ".chart:nth-child(1) .when"))[0], /^at \d\d:\d\d:\d\d$/);
    await tab.picture("overview", { fullPage: true });
    await tab.keyboard.press("Escape");
    assert.equal((await texts(tab, ".chart:nth-child(1) .when"))[0], "now");

    await view(tab, "clients");
    await shows(tab, 'table[aria-label="Clients"] td', /^demo$/);
    await shows(tab, 'table[aria-label="Clients"] .badge', /keeps up/);
    await tab.picture("clients");
    await view(tab, "adapters");
    await shows(tab, 'table[aria-label="Adapters"] td', /^process$/);
    await shows(tab, 'table[aria-label="Adapters"] .badge', /● loaded/);
    await tab.picture("adapters");
    await done(tab);
  });

  test("everything can be reached and seen with the keyboard", async () => {
    const tab = await console_(host);
    await view(tab, "playground");
    await tab.evaluate(() => document.activeElement.blur());
    const reached = [];
    for (let step = 0; step < 25; step += 1) {
      await tab.keyboard.press("Tab");
      const seen = await tab.evaluate(() => {
        const element = document.activeElement;
        // Behind the last one comes the browser's own.
        if (element === document.body) return { name: "" };
        const style = getComputedStyle(element);
        const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent.trim();
        return { name, isSeen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
      });
      if (seen.name && reached.every((other) => other.name !== seen.name)) reached.push(seen);
    }
    const names = reached.map((element) => element.name);
    for (const wanted of ["Skip to content", "Overview", "Playground", "WebSocket address", "API key", "Connect", "Symbol", "Mode", "Subscribe", "Raw frames, newest first", "Pause"]) {
      assert.ok(names.includes(wanted), `${wanted} is not among ${names.join(", ")}`);
    }
    for (const element of reached) assert.ok(element.isSeen, `the focus of ${element.name} cannot be seen`);
    await done(tab);
  });

  for (const dark of [false, true]) {
    test(`it can be read in ${dark ? "dark" : "light"}, and in a narrow window`, async () => {
      const tab = await console_(host, { dark });
      await connect(tab);
      await subscribe(tab, "NSE:INFY", "Depth");
      await subscribe(tab, "NSE:BAD2", "Quote");
      await shows(tab, "td .badge", /● ticks/);
      await shows(tab, "td .badge", /failed/);
      const name = dark ? "dark" : "light";
      for (const at of ["playground", "overview", "clients", "adapters"]) {
        await view(tab, at);
        const unreadable = await tab.evaluate(faint);
        assert.deepEqual(unreadable, [], `${at} in ${name}`);
        await tab.picture(`${name}-${at}`);
      }
      await tab.setViewport({ width: 360, height: 780 });
      for (const at of ["overview", "adapters", "clients", "playground"]) {
        await view(tab, at);
        const [wide, room] = await tab.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(wide <= room, `${at} is ${wide} wide in a window of ${room}`);
        await tab.picture(`${name}-narrow-${at}`);
      }
      await done(tab);
    });
  }

  test("the colours can be chosen, and stay chosen", async () => {
    const tab = await console_(host);
    const colour = () => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await colour();
    await tab.click("#theme");
    assert.equal(await colour(), light);
    await tab.click("#theme");
    const dark = await colour();
    assert.notEqual(dark, light);
    await tab.reload();
    await tab.waitForSelector(".tiles");
    assert.equal(await colour(), dark);
    await done(tab);
  });

  test("pages of other sites and other names get nothing", async () => {
    for (const path of ["/console", "/console/api/live", "/status", "/api/websocket/config"]) {
      assert.equal((await ask(host.admin, path, { Origin: "http://evil.example" })).status, 403, path);
      assert.equal((await ask(host.admin, path, { Host: "evil.example:8766" })).status, 403, path);
    }
    const token = host.link.split("token=")[1];
    const stolen = await ask(host.admin, "/console/api/live", { Authorization: `Bearer ${token}`, Origin: "http://evil.example" });
    assert.equal(stolen.status, 403);
    const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html><title>other</title>"));
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    try {
      const tab = await page(browser);
      await tab.goto(`http://127.0.0.1:${server.address().port}/`);
      const got = await tab.evaluate(async (address) => {
        try {
          return (await fetch(`http://${address}/status`)).status;
        } catch {
          return "refused";
        }
      }, host.admin);
      assert.equal(got, "refused");
      // Nor can it show the console in a frame.
      await tab.evaluate((address) => {
        const frame = document.createElement("iframe");
        frame.src = `http://${address}/console`;
        document.body.append(frame);
        return new Promise((loaded) => frame.addEventListener("load", loaded));
      }, host.admin);
      const inside = tab.frames().find((frame) => frame !== tab.mainFrame());
      assert.ok(!inside || !inside.url().endsWith("/console") || (await inside.$("#main")) === null);
      await tab.browserContext().close();
    } finally {
      server.close();
    }
  });

  test("a front end learns where and with which key to connect, as OpenAlgo tells it", async () => {
    const config = JSON.parse((await ask(host.admin, "/api/websocket/config")).body);
    assert.deepEqual([config.status, config.websocket_url, config.is_secure], ["success", `ws://${host.websocket}`, false]);
    assert.equal((await ask(host.admin, "/api/websocket/apikey")).status, 401);
    const Authorization = `Bearer ${host.link.split("token=")[1]}`;
    const key = JSON.parse((await ask(host.admin, "/api/websocket/apikey", { Authorization })).body);
    assert.deepEqual([key.status, key.api_key, key.apiKey], ["success", host.key, host.key]);
  });
});

describe("hosts that are not well", () => {
  test("a client that does not read is shown as behind, and the others are not", async () => {
    const host = await Host.start({ sim: "rate_hz = 500.0", env: { TICKHOST_THROTTLE_MS: "0", TICKHOST_OUTBOX_FRAMES: "16" } });
    let stopped;
    try {
      const tab = await console_(host);
      await connect(tab);
      await subscribe(tab, "NSE_INDEX:NIFTY", "LTP");
      await shows(tab, "td .badge", /● ticks/);
      stopped = await stoppedClient(host, 200);
      await view(tab, "clients");
      const rows = 'table[aria-label="Clients"] tbody tr';
      await tab.waitForFunction((query) => {
        const [first, second] = [...document.querySelectorAll(query)].map((row) => [...row.cells].map((cell) => cell.textContent));
        return first && second && first[4] === "▲ behind" && second[4] === "● keeps up" && / s$/.test(first[5]) && /µs|ms$/.test(second[5]);
      }, {}, rows);
      const conflated = (await texts(tab, `${rows}:first-child td`))[6];
      assert.match(conflated, /^[1-9][\d,]* \(\d/);
      await tab.picture("clients-behind");
      await view(tab, "overview");
      await shows(tab, ".tile .quiet", /1 behind/);
      await tab.picture("overview-behind", { fullPage: true });
      await done(tab);
    } finally {
      stopped?.destroy();
      await host.stop();
    }
  });

  test("a feed whose token has died says so, and what to do", async () => {
    const host = await Host.start({ sim: '[adapter.config.faults]\nauth_failure = "always"' });
    try {
      const tab = await console_(host);
      await view(tab, "playground");
      const top = () => tab.$eval('form[aria-label="Subscribe"] button', (button) => button.getBoundingClientRect().top);
      const before = await top();
      await connect(tab);
      await subscribe(tab, "NSE:SBIN", "LTP");
      await shows(tab, ".playground .warning", /The feed is refused by the broker/);
      // A click while the news comes must not miss.
      assert.equal(await top(), before);
      await tab.picture("auth-failed-playground");
      await view(tab, "overview");
      await shows(tab, 'table[aria-label="Feeds"] .badge', /✕ refused by the broker/);
      await shows(tab, 'table[aria-label="Feeds"] td', /tickhost account set demo sim/);
      await shows(tab, "#ready", /degraded/);
      await shows(tab, "#notices", /the broker refused the credentials/);
      await tab.picture("auth-failed-overview");
      assert.equal((await ask(host.admin, "/readyz")).status, 503);
      await done(tab);
    } finally {
      await host.stop();
    }
  });

  test("a feed whose adapter fails again and again is down, and says why", async () => {
    const host = await Host.start({ sim: '[adapter.config.faults]\npanic_in = "connect"' });
    try {
      const tab = await console_(host, { dark: true });
      await connect(tab);
      await view(tab, "overview");
      await shows(tab, 'table[aria-label="Feeds"] .badge', /✕ down/);
      await shows(tab, 'table[aria-label="Feeds"] td', /The adapter failed and will be started again/);
      await tab.waitForFunction(() => Number(document.querySelector('table[aria-label="Feeds"] tbody tr')?.cells[9].textContent) > 1);
      await tab.picture("down-overview");
      await done(tab);
    } finally {
      await host.stop();
    }
  });

  test("an adapter of several brokers shows the limits of each where they differ", async () => {
    const config = "rate_hz = 10.0\n[adapter.brand.south.config]\nrate_hz = 5.0\n[adapter.brand.south]\n";
    const host = await Host.start({ sim: `${config}symbols_per_connection = 5\nconnections = 1`, brokers: ["sim", "south"] });
    try {
      const tab = await console_(host);
      await view(tab, "adapters");
      await shows(tab, 'table[aria-label="Adapters"] td', /^sim [0-9,]+ × [0-9]+, south 5 × 1$/);
      host.writePlugins(config, ["sim", "south"]);
      host.run("adapters", "reload", "sim");
      await shows(tab, 'table[aria-label="Adapters"] td', /^[0-9,]+ × [0-9]+$/);
      await done(tab);
    } finally {
      await host.stop();
    }
  });

  test("a host that ends is said to be gone, and shown again when it is back", async () => {
    const host = await Host.start();
    try {
      const tab = await console_(host);
      await connect(tab);
      await subscribe(tab, "NSE:SBIN", "LTP");
      await shows(tab, "td .badge", /● ticks/);
      await host.halt();
      await shows(tab, "#pg-state", /connection lost/);
      // No price is shown as live that is not.
      await shows(tab, "td .badge", /○ not connected/);
      assert.ok(!(await texts(tab, "td .badge")).includes("● ticks"));
      await shows(tab, "#notices", /The host does not answer/);
      await shows(tab, "#ready", /no answer/);
      await tab.picture("no-answer");
      await host.serve(host.ports);
      await shows(tab, "#ready", /● ready/);
      // The client came back by itself, with what it held.
      await shows(tab, "#pg-state", /logged in/);
      await shows(tab, "td .badge", /● ticks/);
      assert.equal(await tab.$eval("#notices", (notices) => notices.childElementCount), 0);
      await done(tab);
    } finally {
      await host.stop();
    }
  });

  test("a key that was revoked is not handed out, and the playground says what to do", async () => {
    const host = await Host.start();
    try {
      const id = host.key.split("_")[1];
      host.run("key", "revoke", id);
      const tab = await console_(host);
      await view(tab, "playground");
      await shows(tab, ".playground .quiet", /not valid any more/);
      await tab.type("#pg-key", "th_0_0");
      await tab.click('form[aria-label="Connection"] button');
      await shows(tab, "#pg-state", /refused/);
      assert.match((await texts(tab, ".playground .bar .quiet"))[0], /Invalid API key/);
      await done(tab);
    } finally {
      await host.stop();
    }
  });
});

// Runs in the page: texts whose contrast with what lies behind them is below 4.5.
function faint() {
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.a === 1) return colour;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || ["OPTION", "SCRIPT", "NOSCRIPT"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const [one, other] = [light(colour), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) found.add(`${element.tagName}.${element.getAttribute("class")} "${walker.currentNode.textContent.trim().slice(0, 30)}" ${contrast.toFixed(2)}`);
  }
  return [...found];
}
