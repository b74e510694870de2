// Adapters and clients.

import { el, setText, Table } from "./dom.js";
import { bytes, count, duration, limits, micros, percent, text } from "./format.js";

const STATES = {
  live: ["good", "live"],
  starting: ["busy", "starting"],
  connecting: ["busy", "connecting"],
  stale: ["warn", "stale"],
  auth_failed: ["bad", "refused by the broker"],
  down: ["bad", "down"],
  list_incomplete: ["warn", "degraded"],
  closed: ["off", "closed"],
  loaded: ["good", "loaded"],
  disabled: ["off", "disabled"],
  failed: ["bad", "failed"],
};

// A state by a word and a sign, not by its colour alone.
export function stateBadge(state) {
  const [badge, label] = STATES[state] ?? ["off", state];
  const sign = { good: "●", busy: "◌", warn: "▲", bad: "✕", off: "○" }[badge];
  return { badge, text: `${sign} ${label}` };
}

// The same in a sentence.
export function stateWord(state) {
  return STATES[state]?.[1] ?? state;
}

export function adapters() {
  const table = new Table({
    caption: "Adapters",
    key: (adapter) => adapter.name,
    empty: "plugins.toml lists no adapter. adapters/README.md says how to add one.",
    columns: [
      { title: "Adapter", cell: (adapter) => adapter.name },
      { title: "State", cell: (adapter) => stateBadge(adapter.state) },
      { title: "Version", cell: (adapter) => text(adapter.version) },
      { title: "ABI", cell: (adapter) => text(adapter.abi_version) },
      { title: "SDK", cell: (adapter) => text(adapter.sdk_version) },
      { title: "Isolation", cell: (adapter) => adapter.isolation },
      { title: "Brokers", cell: (adapter) => text(adapter.brokers.join(", ")) },
      { title: "Limits", cell: limits, hint: "Instruments on a connection, times connections of an account" },
      { title: "Builds", number: true, hint: "Loaded since the start", cell: (adapter) => count(adapter.generation) },
      { title: "Restarts", number: true, hint: "Of its instances in the feeds that run", cell: (adapter) => count(adapter.restarts) },
      { title: "Processes", cell: (adapter) => ({ text: text(adapter.processes.map((process) => `${process.pid ?? "–"} (${bytes(process.resident_bytes)})`).join(", ")) }) },
      { title: "Library", cell: (adapter) => ({ text: adapter.sha256 ? adapter.sha256.slice(0, 12) : "–", title: `${adapter.library}\nSHA-256 ${adapter.sha256 ?? "unknown"}` }) },
      { title: "What is wrong", words: true, cell: (adapter) => text([adapter.error, adapter.note].filter(Boolean).join(" ")) },
    ],
  });
  const error = el("p", { class: "warning", hidden: true });
  return {
    root: el("section", null, el("h2", null, "Adapters"), error, table.root),
    update(state) {
      error.hidden = !state.plugins_error;
      setText(error, state.plugins_error ? `The present plugins.toml is not followed: ${state.plugins_error}` : "");
      table.update(state.adapters.map((adapter) => {
        const feeds = state.feeds.filter((feed) => feed.adapter === adapter.name);
        return {
          ...adapter,
          restarts: feeds.reduce((total, feed) => total + feed.restarts, 0),
          processes: feeds.flatMap((feed) => feed.instances),
        };
      }));
    },
  };
}

export function clients() {
  const table = new Table({
    caption: "Clients",
    key: (client) => client.id,
    empty: "No client is connected. The playground is one.",
    columns: [
      { title: "Client", cell: (client) => text(client.peer) },
      { title: "User", cell: (client) => text(client.user) },
      { title: "Key", hint: "Its identity, which is not secret", cell: (client) => text(client.key) },
      { title: "Feed", number: true, cell: (client) => text(client.feed) },
      { title: "State", cell: (client) => (client.behind ? { badge: "warn", text: "▲ behind" } : client.user ? { badge: "good", text: "● keeps up" } : { badge: "busy", text: "◌ no key yet" }) },
      { title: "Lag", number: true, hint: "From receipt to socket, or the age of what waits", cell: (client) => (client.written + client.waiting === 0 ? "–" : micros(client.lag_us)) },
      { title: "Conflated", number: true, hint: "Ticks replaced by newer ones because this client was behind", cell: (client) => `${count(client.conflated)} (${percent(client.conflated / Math.max(1, client.conflated + client.written))})` },
      { title: "Waiting", number: true, hint: "Ticks", cell: (client) => count(client.waiting) },
      { title: "Written", number: true, hint: "Ticks", cell: (client) => count(client.written) },
      { title: "Subscriptions", number: true, cell: (client) => count(client.subscriptions) },
      { title: "Connected for", number: true, cell: (client) => duration(client.age_ms) },
    ],
  });
  const note = el("p", { class: "quiet" });
  return {
    root: el("section", null, el("h2", null, "Clients"), note, table.root),
    update(state) {
      const { total, rows } = state.clients;
      setText(note, rows.length < total ? `The ${count(rows.length)} that are most behind, of ${count(total)}.` : `${count(total)} connected, those first that are most behind.`);
      table.update(rows);
    },
  };
}
