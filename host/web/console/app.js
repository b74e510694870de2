// The console: asks the host for its state each second and shows it in one of four views.

import { el, setClass, setText } from "./dom.js";
import { duration } from "./format.js";
import { overview } from "./overview.js";
import { playground } from "./playground.js";
import { adapters, clients, stateWord } from "./tables.js";

const EVERY_MS = 1_000;
const SAMPLES = 600;
const STORED = "tickhost-console-token";
const THEMES = [["auto", "◐", "as the system has them"], ["light", "☀", "light"], ["dark", "☾", "dark"]];

const main = document.getElementById("main");
const notices = document.getElementById("notices");
const session = { token: takeToken(), after: 0, samples: [], failing: 0 };
const views = {
  overview: { label: "Overview", ...overview() },
  adapters: { label: "Adapters", ...adapters() },
  clients: { label: "Clients", ...clients() },
  playground: { label: "Playground", ...playground((path) => ask(path)) },
};
let shown = null;
let state = null;

// The token comes behind the `#` of the link, which the browser sends nowhere. It is taken out of the address bar at once
// and kept for this tab only.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(STORED, given);
    history.replaceState(null, "", `${location.pathname}#overview`);
  }
  return given ?? sessionStorage.getItem(STORED);
}

function ask(path) {
  return fetch(path, { headers: { Authorization: `Bearer ${session.token}` }, cache: "no-store", signal: AbortSignal.timeout(5_000) });
}

async function look() {
  if (!session.token) return gate("");
  try {
    const answer = await ask(`/console/api/live?after=${session.after}`);
    if (answer.status === 401) return gate("This token does not open this host.");
    if (!answer.ok) throw new Error(`the host answers ${answer.status}`);
    state = await answer.json();
    session.failing = 0;
    remember(state.samples);
    state.samples = session.samples;
    show();
  } catch (error) {
    session.failing += 1;
    if (error.name !== "AbortError") report(error);
  }
  // A tab that nobody sees asks seldom.
  setTimeout(look, document.hidden ? 5 * EVERY_MS : EVERY_MS);
}

function remember(samples) {
  const newest = samples[samples.length - 1];
  // The numbers of a host that was started again start over.
  if (state.uptime_seconds < (session.uptime ?? 0)) session.samples = [];
  session.uptime = state.uptime_seconds;
  if (newest) session.after = newest.number;
  session.samples = [...session.samples, ...samples].slice(-SAMPLES);
}

function show() {
  document.body.classList.remove("out-of-date");
  setText(document.getElementById("version"), state.version);
  setText(document.getElementById("link"), `up ${duration(state.uptime_seconds * 1_000)}`);
  const ready = document.getElementById("ready");
  setClass(ready, `badge ${state.readiness.ready ? "good" : "warn"}`);
  setText(ready, state.readiness.ready ? "● ready" : "▲ degraded");
  notify(state.readiness.reasons.map((reason) => (reason.feed === undefined
    ? `Adapter ${reason.adapter} does not work, so that there is no feed of ${reason.broker || "its brokers"}: ${reason.message}`
    : `Feed ${reason.feed} (${reason.broker}) is ${stateWord(reason.state)}: ${reason.message}`)));
  if (!shown) route();
  views[shown].update(state);
}

function report(error) {
  document.body.classList.add("out-of-date");
  const ready = document.getElementById("ready");
  setClass(ready, "badge bad");
  setText(ready, "✕ no answer");
  // One lost answer is no news.
  if (session.failing < 2) return;
  notify([`The host does not answer (${error.message}). What is shown is what it said last; the console goes on trying.`]);
  session.after = 0;
  session.samples = [];
}

function notify(sentences) {
  const present = [...notices.children].map((child) => child.textContent);
  if (present.join("\n") === sentences.join("\n")) return;
  notices.replaceChildren(...sentences.map((sentence) => el("p", { class: "warning" }, sentence)));
}

// Asks for the token, when there is none or it is wrong.
function gate(why) {
  sessionStorage.removeItem(STORED);
  shown = null;
  const input = el("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const form = el(
    "form", { class: "gate", onsubmit: (event) => {
      event.preventDefault();
      // A whole link may be pasted, too.
      session.token = input.value.trim().replace(/^.*token=/, "");
      sessionStorage.setItem(STORED, session.token);
      session.after = 0;
      look();
    } },
    el("h1", null, "Tickhost console"),
    why ? el("p", { class: "warning", role: "alert" }, why) : null,
    el("p", null, "Open the link that ", el("code", null, "tickhost console"), " prints, or paste its token here."),
    el("label", { for: "token" }, "Token"), input,
    el("button", { type: "submit", class: "primary" }, "Open"),
  );
  document.getElementById("views").replaceChildren();
  notify([]);
  main.replaceChildren(form);
  input.focus();
}

function route() {
  const wanted = location.hash.slice(1);
  const next = Object.hasOwn(views, wanted) ? wanted : "overview";
  if (next === shown || !session.token) return;
  shown = next;
  document.getElementById("views").replaceChildren(...Object.entries(views).map(([name, view]) =>
    el("a", { href: `#${name}`, "aria-current": name === shown ? "page" : null }, view.label)));
  document.title = `${views[shown].label} · Tickhost console`;
  main.replaceChildren(views[shown].root);
  if (state) views[shown].update(state);
}

function theme() {
  const button = document.getElementById("theme");
  let at = Math.max(0, THEMES.findIndex(([name]) => name === localStorage.getItem("tickhost-console-theme")));
  const apply = () => {
    const [name, sign, words] = THEMES[at];
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    localStorage.setItem("tickhost-console-theme", name);
    setText(button, sign);
    button.setAttribute("aria-label", `Colours: ${words}`);
    button.title = `Colours: ${words}`;
  };
  button.addEventListener("click", () => {
    at = (at + 1) % THEMES.length;
    apply();
  });
  apply();
}

addEventListener("hashchange", () => {
  // A new link opened in this tab brings a new token.
  if (location.hash.includes("token=")) {
    session.token = takeToken();
    if (!shown) look();
  }
  route();
});
theme();
look();
