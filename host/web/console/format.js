// Numbers and times as people read them. Everything here takes what the host sends, absent values included.

const NONE = "–";

export function count(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return value.toLocaleString("en-IN", { maximumFractionDigits: 0 });
}

export function rate(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value >= 100_000) return `${(value / 1000).toLocaleString("en-IN", { maximumFractionDigits: 0 })}k`;
  if (value >= 10_000) return `${(value / 1000).toFixed(1)}k`;
  if (value >= 100) return value.toLocaleString("en-IN", { maximumFractionDigits: 0 });
  return value.toFixed(1).replace(/\.0$/, "");
}

// A share of 1 in percent. What is not nothing is never shown as nothing.
export function percent(share) {
  if (share === null || share === undefined || !Number.isFinite(share)) return NONE;
  const value = share * 100;
  if (value === 0) return "0 %";
  if (value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}

export function micros(us) {
  if (us === null || us === undefined || !Number.isFinite(us)) return NONE;
  if (us < 1_000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${trim(us / 1_000)} ms`;
  return duration(us / 1_000);
}

export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${trim(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function bytes(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${trim(value)} ${units[unit]}`;
}

// A price with the digits that it came with, at least two.
export function price(value) {
  if (value === null || value === undefined) return NONE;
  const digits = Math.max(2, (String(value).split(".")[1] ?? "").length);
  return Number(value).toLocaleString("en-IN", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString("en-GB", { hour12: false });
}

// Instruments and connections of an adapter, and deep books where they are counted apart: once, if they are the same at all its brokers, else by broker.
export function limits(adapter) {
  const deep = (books) => (books ? ` (${count(books.per_connection)} above ${books.above_levels} levels)` : "");
  const of = (broker) =>
    `${count(broker.symbols_per_connection)} × ${count(broker.connections)}${deep(broker.deep_books)}`;
  const brokers = adapter.by_broker ?? [];
  if (brokers.every((broker) => of(broker) === of(adapter))) return of(adapter);
  return brokers.map((broker) => `${broker.name} ${of(broker)}`).join(", ");
}

export function text(value) {
  return value === null || value === undefined || value === "" ? NONE : String(value);
}

function trim(value) {
  return value.toFixed(value < 10 ? 1 : 0).replace(/\.0$/, "");
}
