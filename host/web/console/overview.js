// Totals, the plots of the last minutes, and the feeds.

import { Chart } from "./chart.js";
import { el, setText, Table } from "./dom.js";
import { bytes, count, duration, micros, percent, rate, text } from "./format.js";
import { stateBadge } from "./tables.js";

const SPANS = [["2 min", 120_000], ["10 min", 600_000]];

export function overview() {
  const tiles = ["Feeds live", "Ticks in", "Frames out", "Clients", "Host latency, p99"].map((label) => ({
    value: el("b"), note: el("span", { class: "quiet" }), label,
  }));
  const charts = [
    new Chart({ title: "Ticks and frames per second", hint: "Ticks from brokers and publishers, and frames of ticks written to clients, of all feeds together.", format: rate, lines: [{ key: "ticks_per_second", label: "ticks in" }, { key: "frames_per_second", label: "frames out" }] }),
    new Chart({ title: "Latency within the host", hint: "From the receipt by the adapter to the client's socket. The wait for an interval of the throttle is not counted.", format: micros, lines: [{ key: "host_p50_us", label: "p50" }, { key: "host_p99_us", label: "p99" }] }),
    new Chart({ title: "Latency from exchange to client", hint: "From the exchange's own time on the tick to the client's socket, so by two clocks; brokers that send whole seconds add up to one.", format: micros, lines: [{ key: "exchange_p50_us", label: "p50" }, { key: "exchange_p99_us", label: "p99" }] }),
    new Chart({ title: "Conflation", hint: "Values replaced by newer ones: spaced by the throttle, as intended; because the host was behind; or because a client was.", format: percent, lines: [{ key: "throttled_share", label: "throttle" }, { key: "host_behind_share", label: "host behind" }, { key: "client_behind_share", label: "clients behind" }] }),
  ];
  const feeds = new Table({
    caption: "Feeds",
    key: (feed) => feed.id,
    empty: "No feed runs. A feed starts when the first client of its account logs in: try the playground.",
    columns: [
      { title: "Feed", cell: (feed) => name(feed) },
      { title: "State", cell: (feed) => ({ ...stateBadge(feed.state), title: feed.last_error }) },
      { title: "Last tick", number: true, cell: (feed) => (feed.last_tick_age_ms === null ? "never" : `${duration(feed.last_tick_age_ms)} ago`) },
      { title: "Ticks/s", number: true, cell: (feed) => rate(feed.recent?.ticks_per_second) },
      { title: "Host p99", number: true, hint: "From receipt to socket, in the last 5 s", cell: (feed) => micros(feed.recent?.host_p99_us) },
      { title: "From exchange p50", number: true, cell: (feed) => micros(feed.recent?.exchange_p50_us) },
      { title: "Instruments", number: true, hint: "That have ticked, of those subscribed", cell: (feed) => `${count(feed.active)} of ${count(feed.instruments)}` },
      { title: "Clients", number: true, cell: (feed) => count(feed.sessions) },
      { title: "Connections", hint: "To the broker, up and in all", cell: (feed) => `${feed.links.filter((link) => link.state === "live").length} of ${feed.links.length} up` },
      { title: "Restarts", number: true, cell: (feed) => count(feed.restarts) },
      { title: "What is wrong", words: true, cell: (feed) => wrong(feed) },
    ],
  });
  const connections = new Table({
    caption: "Connections to brokers",
    key: (link) => `${link.feed.id}/${link.connection}`,
    empty: "No feed has a connection to its broker.",
    columns: [
      { title: "Feed", cell: (link) => name(link.feed) },
      { title: "Connection", number: true, cell: (link) => String(link.connection) },
      { title: "State", cell: (link) => stateBadge(link.state) },
      { title: "For", number: true, cell: (link) => duration(link.state_age_ms) },
      { title: "Last tick", number: true, cell: (link) => (link.last_tick_age_ms === null ? "never" : `${duration(link.last_tick_age_ms)} ago`) },
      { title: "Instruments", number: true, cell: (link) => count(link.instruments) },
      { title: "Attempts", number: true, hint: "To connect, since the last that succeeded", cell: (link) => count(link.attempts) },
      { title: "Process", cell: (link) => (link.instance?.pid ? `${link.instance.pid} (${bytes(link.instance.resident_bytes)})` : "–") },
      { title: "Undecodable", number: true, hint: "Packets from the broker", cell: (link) => count(link.instance?.undecodable) },
      { title: "Last error", words: true, cell: (link) => text(link.last_error) },
    ],
  });
  let span = SPANS[0][1];
  let last = null;
  const spans = el("div", { class: "choice", role: "group", "aria-label": "Time shown" }, SPANS.map(([label, value]) =>
    el("button", { type: "button", "aria-pressed": String(value === span), onclick: (event) => {
      span = value;
      for (const button of spans.children) button.setAttribute("aria-pressed", String(button === event.currentTarget));
      if (last) for (const chart of charts) chart.update(last.samples, span);
    } }, label)));
  const root = el(
    "section", null,
    el("div", { class: "tiles" }, tiles.map((tile) => el("div", { class: "tile" }, el("span", null, tile.label), tile.value, tile.note))),
    el("h2", null, "Feeds"), feeds.root,
    el("div", { class: "heading" }, el("h2", null, "Last minutes"), spans),
    el("div", { class: "charts" }, charts.map((chart) => chart.root)),
    el("h2", null, "Connections to brokers"), connections.root,
  );
  return {
    root,
    update(state) {
      last = state;
      const newest = state.samples[state.samples.length - 1];
      const should = state.feeds.filter((feed) => feed.state !== "closed");
      const live = should.filter((feed) => feed.state === "live").length;
      const facts = [
        [`${live} of ${should.length}`, should.length === 0 ? "none started" : live === should.length ? "all as they should be" : "see below"],
        [`${rate(newest?.ticks_per_second)}/s`, `${count(sum(state.feeds, "received"))} since the feeds began`],
        [`${rate(newest?.frames_per_second)}/s`, `${count(sum(state.feeds, "written"))} since the feeds began`],
        [count(state.sessions.total), state.clients.behind ? `${count(state.clients.behind)} behind` : "none behind"],
        [micros(newest?.host_p99_us), newest?.host_p50_us === null ? "nothing measured" : `p50 ${micros(newest?.host_p50_us)}`],
      ];
      facts.forEach(([value, note], at) => {
        setText(tiles[at].value, value);
        setText(tiles[at].note, note);
      });
      const recent = new Map(state.recent.map((entry) => [entry.feed, entry]));
      feeds.update(state.feeds.map((feed) => ({ ...feed, recent: recent.get(feed.id) })));
      connections.update(state.feeds.flatMap((feed) => feed.links.map((link) =>
        ({ ...link, feed, instance: feed.instances.find((instance) => instance.connection === link.connection) }))));
      for (const chart of charts) chart.update(state.samples, span);
    },
  };
}

function sum(feeds, counter) {
  return feeds.reduce((total, feed) => total + (feed.counters[counter] ?? 0), 0);
}

function name(feed) {
  return `${feed.broker}${feed.user ? ` · ${feed.user}` : ""}`;
}

function wrong(feed) {
  const parts = [];
  if (feed.state === "auth_failed") parts.push(`The broker refused the credentials: set new ones with tickhost account set ${feed.user ?? "USER"} ${feed.broker}.`);
  if (feed.state === "stale") parts.push("Connected, but silent although its exchanges trade.");
  if (feed.state === "down") parts.push("The adapter failed and will be started again.");
  if (feed.list_trouble) parts.push(`${feed.list_trouble[0].toUpperCase()}${feed.list_trouble.slice(1)}.`);
  if (feed.last_error && feed.state !== "live") parts.push(`${feed.last_error.replace(/\.$/, "")}.`);
  if (feed.retry_in_ms !== null && feed.state !== "live") parts.push(`Next attempt in ${duration(feed.retry_in_ms)}.`);
  if (feed.pending > 0) parts.push(`${count(feed.pending)} instruments wait for the broker.`);
  if (feed.market && feed.market !== "open") parts.push(feed.opens_in_ms ? `Exchanges closed, they open in ${duration(feed.opens_in_ms)}.` : "Exchanges closed.");
  return text(parts.join(" "));
}
