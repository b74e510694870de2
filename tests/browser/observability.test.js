// The dashboard and the alert rules ask only for what a running host has: every expression is parsed, and each name,
// label and state in it is looked for in what the host answers.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { parser } from "@prometheus-io/lezer-promql";
import { parse as parseYaml } from "yaml";
import { open, page, shows } from "./browser.js";
import { Host } from "./host.js";

const FOLDER = resolve(import.meta.dirname, "../../host/observability");
// What Prometheus itself adds to every sample.
const ADDED = ["instance", "job"];

let host;
let samples;

before(async () => {
  host = await Host.start({ env: (dir) => ({ TICKHOST_BUS: "true", ZMQ_PORT: "0", WS_PROXY_STATS_FILE: join(dir, "log", "stats.json") }) });
  // A feed that ticks, so that there is something of everything.
  const browser = await open();
  try {
    const tab = await page(browser);
    await tab.goto(`${host.link}`);
    await tab.waitForSelector(".tiles");
    await tab.click('nav a[href="#playground"]');
    await tab.waitForFunction(() => document.querySelector("#pg-key")?.value.startsWith("th_"));
    await tab.click('form[aria-label="Connection"] button');
    await tab.type("#pg-symbol", "NSE:SBIN");
    await tab.click('form[aria-label="Subscribe"] button');
    await shows(tab, "td .badge", /● ticks/);
    samples = read(await (await fetch(`http://${host.admin}/metrics`)).text());
  } finally {
    await browser.close();
  }
});
after(async () => { await host?.stop(); });

// Label sets by name.
function read(text) {
  const found = new Map();
  for (const line of text.split("\n").filter((line) => line && !line.startsWith("#"))) {
    const [, name, labels] = /^([a-z_]+)(?:\{(.*)\})? /.exec(line);
    const set = Object.fromEntries([...(labels ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key, value]));
    found.set(name, [...(found.get(name) ?? []), set]);
  }
  return found;
}

// Complains about an expression that is none, or that asks for what is not there.
function check(where, expression) {
  const text = expression.replaceAll("$__rate_interval", "1m").replaceAll('"$instance"', '".*"');
  const tree = parser.parse(text);
  const known = new Set(ADDED);
  const grouped = [];
  tree.iterate({
    enter(node) {
      const words = text.slice(node.from, node.to);
      assert.ok(!node.type.isError, `${where}: cannot be parsed at ${node.from}: ${text}`);
      if (node.name === "VectorSelector") {
        const [, name, matchers = ""] = /^([a-zA-Z_:]+)\s*(?:\{(.*)\})?$/s.exec(words);
        if (name === "up") return;
        const sets = samples.get(name);
        assert.ok(sets, `${where}: the host has no ${name}`);
        for (const key of sets.flatMap((set) => Object.keys(set))) known.add(key);
        for (const [, label, , value] of matchers.matchAll(/([a-z_]+)\s*(=~|!=|!~|=)\s*"([^"]*)"/g)) {
          if (ADDED.includes(label)) continue;
          for (const wanted of value.split("|")) {
            assert.ok(sets.some((set) => set[label] === wanted), `${where}: ${name} has no ${label}="${wanted}"`);
          }
        }
      }
      if (node.name === "GroupingLabels") grouped.push(...words.match(/[a-z_]+/g));
    },
  });
  for (const label of grouped) assert.ok(known.has(label), `${where}: no sample has the label ${label}`);
}

test("each panel of the dashboard asks for what the host has", () => {
  const { panels, templating } = JSON.parse(readFileSync(resolve(FOLDER, "grafana.json"), "utf8"));
  assert.ok(panels.length >= 15);
  for (const { title, targets } of panels) {
    for (const { expr, legendFormat } of targets) {
      check(title, expr);
      // Another window holds too few samples where somebody scrapes more rarely, and then the panel stays empty.
      assert.ok(!/\[\d/.test(expr), `${title}: a rate over a fixed time`);
      for (const [, label] of legendFormat.matchAll(/\{\{([a-z_]+)\}\}/g)) {
        const names = [...samples.keys()].filter((name) => expr.includes(name));
        assert.ok(ADDED.includes(label) || names.some((name) => samples.get(name).some((set) => label in set)), `${title}: no ${label}`);
      }
    }
  }
  const [, variable] = templating.list;
  assert.ok(samples.has(/label_values\(([a-z_]+),/.exec(variable.definition)[1]));
});

test("each alert asks for what the host has, and says what to do", () => {
  const { groups } = parseYaml(readFileSync(resolve(FOLDER, "alerts.yml"), "utf8"));
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length >= 10);
  for (const { alert, expr, labels, annotations } of rules) {
    check(alert, expr);
    assert.match(labels.severity, /^(critical|warning)$/, alert);
    assert.ok(annotations.summary && annotations.description.length > 30, alert);
    for (const [, label] of annotations.description.matchAll(/\$labels\.([a-z_]+)/g)) {
      assert.ok(ADDED.includes(label) || [...samples.values()].flat().some((set) => label in set), `${alert}: no ${label}`);
    }
  }
});

test("a mistake would be noticed", () => {
  for (const wrong of ["tickhost_feed_gotten_total", 'tickhost_feed_state{state="dead"}', "sum by (colour) (tickhost_sessions)", "rate(tickhost_sessions[5m]"]) {
    assert.throws(() => check("wrong", wrong), /wrong: /, wrong);
  }
});

test("each endpoint answers, and OpenAlgo's statistics are written", async () => {
  const ask = async (path) => {
    const answer = await fetch(`http://${host.admin}${path}`);
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await ask("/livez"), [200, "ok"]);
  assert.deepEqual(await ask("/readyz"), [200, '{"ready":true,"reasons":[]}']);
  const [status, body] = await ask("/status");
  assert.deepEqual([status, JSON.parse(body).feeds[0].broker], [200, "sim"]);
  const file = join(host.dir, "log", "stats.json");
  const stats = JSON.parse(readFileSync(file, "utf8"));
  assert.deepEqual(Object.keys(stats), ["timestamp", "total_connections", "total_symbols", "clients_connected", "brokers"]);
  assert.ok(Math.abs(stats.timestamp - Date.now() / 1_000) < 60);
  await host.halt();
  assert.ok(!existsSync(file), "old numbers are not left to be taken for new ones");
});
