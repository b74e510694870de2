// A client in the page: it logs in with a key, subscribes, and shows what comes, as values and as raw frames.

import { sparkline } from "./chart.js";
import { Client } from "./client.js";
import { el, setClass, setText, Table } from "./dom.js";
import { count, duration, price, text } from "./format.js";
import { stateWord } from "./tables.js";

const EXCHANGES = ["NSE", "NFO", "CDS", "BSE", "BFO", "BCD", "MCX", "NCDEX", "NCO", "NSE_INDEX", "BSE_INDEX", "MCX_INDEX", "GLOBAL_INDEX", "CRYPTO"];
const MODES = ["LTP", "Quote", "Depth"];
const LEVELS = [5, 20, 30, 50, 200];
const FRAMES = 200;
const POINTS = 90;
const DRAW_MS = 200;
const STATES = {
  idle: ["off", "○ not connected"], connecting: ["busy", "◌ connecting"], authenticating: ["busy", "◌ logging in"],
  authenticated: ["good", "● logged in"], waiting: ["warn", "▲ connection lost"], closed: ["off", "○ closed"], failed: ["bad", "✕ refused"],
};

export function playground(ask) {
  const rows = new Map();
  const frames = [];
  let selected = null;
  let isPaused = false;
  let isDirty = true;
  let total = 0;
  let feedState = null;

  // ---- connection ----

  const url = el("input", { id: "pg-url", type: "text", spellcheck: "false", required: true, size: "26" });
  const key = el("input", { id: "pg-key", type: "password", autocomplete: "off", spellcheck: "false", required: true, size: "26" });
  const badge = el("span", { class: "badge off", id: "pg-state", role: "status" }, STATES.idle[1]);
  const detail = el("span", { class: "quiet" });
  const keyNote = el("p", { class: "quiet" });
  const feedNote = el("p", { class: "warning", hidden: true });
  const toggle = el("button", { type: "submit", class: "primary" }, "Connect");
  const client = new Client({ state: onState, frame: onFrame, sent: (message) => note("→", redacted(message)) });
  const connection = el(
    "form", { class: "bar", "aria-label": "Connection", onsubmit: (event) => {
      event.preventDefault();
      if (client.isWanted) {
        client.disconnect();
        onState("idle", "");
      } else {
        client.connect(url.value.trim(), key.value.trim());
      }
    } },
    field("WebSocket address", url), field("API key", key), toggle, badge, detail,
  );

  async function prepare() {
    try {
      const config = await (await ask("/api/websocket/config")).json();
      if (!url.value) url.value = config.websocket_url;
      const answer = await ask("/api/websocket/apikey");
      const kept = await answer.json();
      if (answer.ok && !key.value) {
        key.value = kept.api_key;
        setText(keyNote, "The key is the one that the host keeps for the console. Any other key works too; it stays in this page.");
      } else if (!answer.ok) {
        setText(keyNote, `Paste a key that you have, or make one with tickhost key create USER. (${kept.message})`);
      }
    } catch {
      setText(keyNote, "The host does not say how to connect; write it yourself.");
    }
  }

  function onState(word, words) {
    const [kind, label] = STATES[word];
    setClass(badge, `badge ${kind}`);
    setText(badge, label);
    setText(detail, words);
    setText(toggle, client.isWanted ? "Disconnect" : "Connect");
    toggle.className = client.isWanted ? "" : "primary";
    if (word !== "authenticated") {
      feedNote.hidden = true;
      feedState = null;
      // What was subscribed ended with the connection; the client asks again when it is back.
      for (const row of rows.values()) if (row.state !== "failed") Object.assign(row, { state: "unsent", message: "" });
    } else for (const row of rows.values()) if (row.state === "unsent") row.state = "asked";
    isDirty = true;
  }

  // ---- subscriptions ----

  const symbol = el("input", { id: "pg-symbol", type: "text", spellcheck: "false", autocomplete: "off", required: true, size: "26", placeholder: "NSE:SBIN", role: "combobox", "aria-expanded": "false", "aria-controls": "pg-found", "aria-autocomplete": "list" });
  const found = el("ul", { id: "pg-found", role: "listbox", "aria-label": "Symbols found", hidden: true });
  const mode = el("select", { id: "pg-mode" }, MODES.map((name) => el("option", { value: name }, name)));
  const depth = el("select", { id: "pg-depth" }, LEVELS.map((levels) => el("option", { value: String(levels) }, String(levels))));
  const problem = el("p", { class: "warning", role: "alert", hidden: true });
  mode.value = "Quote";
  const subscribing = el(
    "form", { class: "bar", "aria-label": "Subscribe", onsubmit: (event) => {
      event.preventDefault();
      add(symbol.value);
    } },
    el("div", { class: "field combo" }, el("label", { for: "pg-symbol" }, "Symbol"), symbol, found),
    field("Mode", mode), field("Levels", depth), el("button", { type: "submit" }, "Subscribe"),
  );
  const levelsField = depth.parentElement;
  const showLevels = () => { levelsField.hidden = mode.value !== "Depth"; };
  mode.addEventListener("change", showLevels);
  showLevels();
  search(symbol, found, ask);

  function add(written) {
    const [left, ...rest] = written.trim().toUpperCase().split(":");
    const isNamed = EXCHANGES.includes(left) && rest.length > 0;
    const exchange = isNamed ? left : "NSE";
    const name = isNamed ? rest.join(":") : written.trim().toUpperCase();
    if (!name) return complain("Write a symbol as EXCHANGE:SYMBOL, such as NSE:SBIN.");
    complain("");
    const id = `${exchange}:${name}:${mode.value}`;
    if (!rows.has(id)) rows.set(id, newRow(id, exchange, name, mode.value, Number(depth.value)));
    const row = rows.get(id);
    Object.assign(row, { depth: Number(depth.value), state: client.isReady ? "asked" : "unsent", message: "" });
    client.subscribe(row);
    if (!selected || mode.value === "Depth") selected = id;
    symbol.value = "";
    isDirty = true;
    return undefined;
  }

  function newRow(id, exchange, name, mode, depth) {
    const spark = sparkline();
    const row = { id, exchange, symbol: name, mode, depth, spark, points: [], ticks: 0, times: [], data: {}, state: "asked", message: "" };
    row.actions = el("span", { class: "actions" },
      el("button", { type: "button", class: "plain", "aria-label": `Show ${name} in detail`, onclick: () => { selected = id; isDirty = true; } }, "Show"),
      el("button", { type: "button", class: "plain", "aria-label": `Unsubscribe ${name} ${mode}`, onclick: (event) => {
        event.stopPropagation();
        client.unsubscribe(row);
        rows.delete(id);
        if (selected === id) selected = rows.keys().next().value ?? null;
        isDirty = true;
      } }, "Remove"));
    return row;
  }

  function complain(sentence) {
    problem.hidden = !sentence;
    setText(problem, sentence);
  }

  const table = new Table({
    caption: "Subscriptions",
    key: (row) => row.id,
    empty: "Nothing is subscribed. Connect, write a symbol above, and press Subscribe.",
    onSelect: (row) => { selected = row.id; isDirty = true; },
    columns: [
      { title: "Symbol", cell: (row) => `${row.exchange}:${row.symbol}` },
      { title: "Mode", cell: (row) => row.mode },
      { title: "State", words: true, cell: (row) => rowState(row, feedState) },
      { title: "Last price", number: true, cell: (row) => ({ text: price(row.data.ltp), badge: `price ${row.moved ?? ""}` }) },
      { title: "Change", number: true, cell: (row) => (row.data.change_percent === undefined ? "–" : `${row.data.change_percent > 0 ? "+" : ""}${row.data.change_percent.toFixed(2)} %`) },
      { title: "Bid", number: true, cell: (row) => price(row.data.bid_price ?? row.data.depth?.buy?.[0]?.price) },
      { title: "Ask", number: true, cell: (row) => price(row.data.ask_price ?? row.data.depth?.sell?.[0]?.price) },
      { title: "Volume", number: true, cell: (row) => count(row.data.volume) },
      { title: "Ticks/s", number: true, cell: (row) => (row.times.length ? String(Math.round(row.times.length / 5 * 10) / 10) : "0") },
      { title: "Age", number: true, cell: (row) => (row.at ? duration(Math.max(0, Date.now() - row.at)) : "–") },
      { title: "Course", hint: "The last prices", cell: (row) => row.spark.root },
      { title: "", cell: (row) => row.actions },
    ],
  });

  // ---- what comes ----

  function onFrame(frame, raw) {
    total += 1;
    note("←", raw, frame.type === "market_data");
    if (frame.type === "market_data") onTick(frame);
    else if (frame.type === "subscribe") onAnswer(frame);
    else if (frame.type === "subscription_status") onNews(frame);
    else if (frame.type === "feed_status") {
      feedState = frame.state;
      feedNote.hidden = frame.state === "live";
      setText(feedNote, `The feed is ${stateWord(frame.state)}: ${frame.message}`);
    } else if (frame.status === "error") complain(`${frame.code}: ${frame.message}`);
    isDirty = true;
  }

  function onTick(frame) {
    const row = rows.get(`${frame.exchange}:${frame.symbol}:${MODES[frame.mode - 1]}`);
    if (!row) return;
    const before = row.data.ltp;
    row.data = frame.data;
    row.at = Date.now();
    if (!frame.snapshot) {
      row.ticks += 1;
      row.times.push(row.at);
    }
    if (before !== undefined && frame.data.ltp !== undefined && frame.data.ltp !== before) row.moved = frame.data.ltp > before ? "up" : "down";
    if (frame.data.ltp !== undefined) {
      row.points.push(frame.data.ltp);
      if (row.points.length > POINTS) row.points.shift();
    }
  }

  function onAnswer(frame) {
    for (const entry of frame.subscriptions ?? []) {
      const id = typeof frame.request_id === "string" ? frame.request_id : `${entry.exchange}:${entry.symbol}:${entry.mode}`;
      const row = rows.get(id);
      if (!row) continue;
      row.state = entry.status === "success" ? "taken" : "failed";
      row.message = entry.message ?? "";
      if (entry.depth !== undefined && entry.status === "success") row.granted = entry.depth;
      if (entry.status !== "success") client.forget(id);
    }
  }

  function onNews(frame) {
    for (const entry of frame.subscriptions ?? [frame]) {
      const row = rows.get(`${entry.exchange}:${entry.symbol}:${entry.mode}`);
      if (!row) continue;
      row.state = entry.state ?? "failed";
      row.message = entry.message ?? "";
      if (row.state === "failed") client.forget(row.id);
    }
  }

  // ---- detail ----

  const detailTitle = el("h3", null, "Market depth");
  const ladder = el("tbody");
  const ladderTable = el("table", { class: "ladder", "aria-label": "Market depth" },
    el("thead", null, el("tr", null, ["Orders", "Quantity", "Bid", "Ask", "Quantity", "Orders"].map((title) => el("th", { scope: "col", class: "number" }, title)))), ladder);
  const facts = el("dl", { class: "facts" });
  const noBook = el("p", { class: "empty" });
  const detailPanel = el("section", { class: "panel" }, detailTitle, noBook, el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Market depth, scrollable" }, ladderTable), facts);

  function drawDetail() {
    const row = selected ? rows.get(selected) : null;
    setText(detailTitle, row ? `${row.exchange}:${row.symbol}, ${row.mode}` : "Market depth");
    const book = row?.data.depth;
    const levels = book ? Math.max(book.buy.length, book.sell.length) : 0;
    ladderTable.hidden = levels === 0;
    noBook.hidden = levels !== 0;
    setText(noBook, !row ? "Choose a subscription to see its values." : row.mode === "Depth" ? "No book has come yet." : "A book comes in mode Depth.");
    while (ladder.children.length > levels) ladder.lastElementChild.remove();
    while (ladder.children.length < levels) ladder.append(el("tr", null, Array.from({ length: 6 }, (_, at) => el("td", { class: `number ${at < 3 ? "bid" : "ask"}` }))));
    const most = book ? Math.max(1, ...book.buy.map((level) => level.quantity), ...book.sell.map((level) => level.quantity)) : 1;
    for (let at = 0; at < levels; at += 1) {
      const [buy, sell] = [book.buy[at], book.sell[at]];
      const cells = ladder.children[at].children;
      const texts = [orders(buy), count(buy?.quantity), price(buy?.price), price(sell?.price), count(sell?.quantity), orders(sell)];
      texts.forEach((words, place) => setText(cells[place], words));
      cells[1].style.setProperty("--share", `${((buy?.quantity ?? 0) / most) * 100}%`);
      cells[4].style.setProperty("--share", `${((sell?.quantity ?? 0) / most) * 100}%`);
    }
    drawFacts(facts, row);
  }

  // ---- raw frames ----

  const log = el("ol", { class: "frames", tabindex: "0", "aria-label": "Raw frames, newest first" });
  const totals = el("span", { class: "quiet" });
  const kinds = el("select", { id: "pg-kinds" }, [["all", "all"], ["ticks", "ticks"], ["others", "everything but ticks"]].map(([value, label]) => el("option", { value }, label)));
  kinds.addEventListener("change", () => { isDirty = true; });
  const pause = el("button", { type: "button", "aria-pressed": "false", onclick: () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    setText(pause, isPaused ? "Go on" : "Pause");
    isDirty = true;
  } }, "Pause");
  const rawPanel = el("section", { class: "panel" },
    el("div", { class: "heading" }, el("h3", null, "Raw frames"), totals, el("span", { class: "spacer" }), field("Show", kinds), pause,
      el("button", { type: "button", onclick: () => { frames.length = 0; isDirty = true; } }, "Clear")), log);

  function note(arrow, raw, isTick = false) {
    if (isPaused) return;
    frames.unshift({ arrow, raw, isTick, at: new Date().toISOString().slice(11, 23) });
    if (frames.length > FRAMES) frames.pop();
    isDirty = true;
  }

  function drawFrames() {
    setText(totals, `${count(total)} received`);
    if (isPaused && log.childElementCount > 0 && !kinds.matches(":focus")) return;
    const wanted = frames.filter((frame) => kinds.value === "all" || (kinds.value === "ticks") === frame.isTick);
    while (log.children.length > wanted.length) log.lastElementChild.remove();
    while (log.children.length < wanted.length) log.append(el("li", null, el("span", { class: "quiet" }), el("code")));
    wanted.forEach((frame, at) => {
      const [head, body] = log.children[at].children;
      setText(head, `${frame.at} ${frame.arrow}`);
      setText(body, frame.raw);
    });
  }

  // What comes and goes stands below the forms, or a button would move away from under a finger.
  const root = el("section", { class: "playground" }, el("h2", null, "Playground"), connection, subscribing, feedNote, problem, keyNote, table.root, el("div", { class: "panels" }, detailPanel, rawPanel));
  let isPrepared = false;

  // Drawn a few times a second however many frames come, and not at all while nobody looks.
  setInterval(() => {
    const now = Date.now();
    if (!root.isConnected || document.hidden) return;
    for (const row of rows.values()) {
      while (row.times.length && row.times[0] < now - 5_000) row.times.shift();
    }
    if (!isDirty && rows.size === 0) return;
    isDirty = false;
    table.update([...rows.values()]);
    for (const row of rows.values()) row.spark.draw(row.points);
    drawDetail();
    drawFrames();
  }, DRAW_MS);
  table.update([]);
  drawDetail();

  return {
    root,
    update() {
      if (!isPrepared) {
        isPrepared = true;
        prepare();
      }
    },
  };
}

function field(label, control) {
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control);
}

// The key is shown to nobody who looks over a shoulder at the frames.
function redacted(message) {
  return JSON.stringify("api_key" in message ? { ...message, api_key: "…" } : message);
}

function orders(level) {
  return level && level.orders > 0 ? count(level.orders) : "–";
}

// Green only while the connection, the feed and the subscription are all as they should be.
function rowState(row, feedState) {
  if (feedState !== null && feedState !== "live" && ["asked", "taken", "active"].includes(row.state)) {
    return { badge: "warn", text: `▲ ${row.state === "active" ? "no ticks" : "waits"}: the feed is ${stateWord(feedState)}` };
  }
  const [badge, label] = {
    unsent: ["off", "○ not connected"],
    asked: ["busy", "◌ asked"], taken: ["busy", "◌ taken"], active: ["good", "● ticks"], silent: ["warn", "▲ silent"], pending: ["warn", "▲ waits"], failed: ["bad", "✕ failed"],
  }[row.state] ?? ["off", row.state];
  return { badge, text: row.message ? `${label}: ${row.message}` : label };
}

const FACTS = [["open", "Open"], ["high", "High"], ["low", "Low"], ["close", "Close"], ["average_price", "Average"], ["oi", "Open interest"], ["total_buy_quantity", "Buy quantity"], ["total_sell_quantity", "Sell quantity"], ["upper_circuit", "Upper circuit"], ["lower_circuit", "Lower circuit"]];
const QUANTITIES = ["oi", "total_buy_quantity", "total_sell_quantity"];

function drawFacts(list, row) {
  const known = FACTS.filter(([name]) => row?.data[name] !== undefined);
  const wanted = known.map(([name, label]) => [label, QUANTITIES.includes(name) ? count(row.data[name]) : price(row.data[name])]);
  while (list.children.length > wanted.length) list.lastElementChild.remove();
  while (list.children.length < wanted.length) list.append(el("div", null, el("dt"), el("dd")));
  wanted.forEach(([label, value], at) => {
    setText(list.children[at].children[0], label);
    setText(list.children[at].children[1], value);
  });
}

// The list below the field: what the host finds, chosen with the arrow keys, Enter or the pointer.
function search(input, list, ask) {
  let at = -1;
  let timer = null;
  let asked = 0;
  const close = () => {
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const take = (option) => {
    input.value = option.dataset.name;
    close();
    input.focus();
  };
  const mark = (next) => {
    const options = [...list.children].filter((option) => option.dataset.name);
    if (options.length === 0) return;
    at = (next + options.length) % options.length;
    options.forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
    input.setAttribute("aria-activedescendant", options[at].id);
    options[at].scrollIntoView({ block: "nearest" });
  };
  const look = async () => {
    const turn = (asked += 1);
    const wanted = input.value.trim();
    if (!wanted) return close();
    let answer;
    try {
      answer = await (await ask(`/console/api/symbols?find=${encodeURIComponent(wanted)}`)).json();
    } catch {
      return close();
    }
    if (turn !== asked || document.activeElement !== input) return undefined;
    const symbols = answer.symbols ?? [];
    list.replaceChildren(...symbols.map((entry, place) =>
      el("li", { id: `pg-found-${place}`, role: "option", "aria-selected": "false", "data-name": `${entry.exchange}:${entry.symbol}`, onpointerdown: (event) => {
        event.preventDefault();
        take(event.currentTarget);
      } }, el("b", null, entry.symbol), " ", el("span", { class: "quiet" }, text(entry.exchange)))));
    if (symbols.length === 0) list.replaceChildren(el("li", { class: "quiet" }, answer.listed ? "No symbol is like that." : "The host has no list of symbols yet: adapters bring it when they connect. Write EXCHANGE:SYMBOL."));
    at = -1;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    return undefined;
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, 120);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      mark(event.key === "ArrowDown" ? at + 1 : at - 1);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      take([...list.children][at]);
    } else if (event.key === "Escape") close();
  });
}
