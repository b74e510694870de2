// A line chart of the last minutes: up to three lines, a value under the pointer or the arrow keys, gaps where nothing
// was measured.

import { el, setText, svg } from "./dom.js";
import { clock } from "./format.js";

const HEIGHT = 150;
const LEFT = 58;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;

export class Chart {
  // lines: [{ key, label }], of which the first is drawn in the first colour; format: number → text.
  constructor({ title, hint, lines, format }) {
    Object.assign(this, { title, lines, format });
    this.samples = [];
    this.span = 120_000;
    this.width = 400;
    this.values = lines.map(() => el("b"));
    this.grid = svg("g", { class: "grid" });
    this.paths = lines.map((_, at) => svg("path", { class: `line line-${at + 1}` }));
    this.cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    this.svg = svg(
      "svg",
      { tabindex: "0", role: "img", height: HEIGHT, "aria-label": title },
      this.grid, ...this.paths, this.cursor,
    );
    this.when = el("span", { class: "quiet when" });
    this.root = el(
      "figure",
      { class: "chart" },
      el("figcaption", null, el("span", { class: "title", title: hint }, title), this.when),
      el("div", { class: "legend" }, lines.map((line, at) => el("span", null, el("i", { class: `key line-${at + 1}` }), line.label, " ", this.values[at]))),
      this.svg,
      el("p", { class: "quiet hint" }, hint),
    );
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.choose(null));
    this.svg.addEventListener("blur", () => this.choose(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(([entry]) => {
      const width = Math.max(200, Math.floor(entry.contentRect.width));
      if (width !== this.width) {
        this.width = width;
        this.draw();
      }
    }).observe(this.root);
  }

  update(samples, span) {
    this.span = span;
    const newest = samples.length ? samples[samples.length - 1].at_ms : 0;
    this.samples = samples.filter((sample) => sample.at_ms >= newest - span);
    this.draw();
  }

  draw() {
    const { samples, width } = this;
    this.svg.setAttribute("width", width);
    const newest = samples.length ? samples[samples.length - 1].at_ms : 0;
    const x = (at) => width - RIGHT - ((newest - at) / this.span) * (width - LEFT - RIGHT);
    const highest = Math.max(0, ...samples.flatMap((sample) => this.lines.map((line) => sample[line.key] ?? 0)));
    const { top, step } = scale(highest);
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    Object.assign(this, { x });
    this.grid.replaceChildren();
    const isEmpty = !samples.some((sample) => this.lines.some((line) => sample[line.key] !== null && sample[line.key] !== undefined));
    for (let value = 0; value <= top + step / 2; value += step) {
      this.grid.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
      // Without a value there is nothing that an axis could be of.
      if (!isEmpty) this.grid.append(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, this.format(value)));
    }
    if (isEmpty) this.grid.append(svg("text", { class: "nothing", x: (LEFT + width - RIGHT) / 2, y: (TOP + HEIGHT - BOTTOM) / 2 + 4, "text-anchor": "middle" }, "Nothing measured in this time"));
    for (const [share, anchor] of [[1, "start"], [0, "end"]]) {
      const label = share === 0 ? "now" : `${Math.round(this.span / 60_000)} min ago`;
      this.grid.append(svg("text", { x: share ? LEFT : width - RIGHT, y: HEIGHT - 5, "text-anchor": anchor }, label));
    }
    this.lines.forEach((line, at) => {
      let path = "";
      let before = null;
      for (const sample of samples) {
        const value = sample[line.key];
        const isGap = value === null || value === undefined;
        if (!isGap) {
          const continues = before !== null && sample.at_ms - before < 5_000;
          path += `${continues ? "L" : "M"}${x(sample.at_ms).toFixed(1)} ${y(value).toFixed(1)}`;
        }
        before = isGap ? null : sample.at_ms;
      }
      this.paths[at].setAttribute("d", path);
    });
    this.choose(this.chosen ?? null);
  }

  point(offset) {
    let best = null;
    this.samples.forEach((sample, at) => {
      const far = Math.abs(this.x(sample.at_ms) - offset);
      if (best === null || far < best.far) best = { at, far };
    });
    this.choose(best ? this.samples[best.at].number : null);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") this.choose(null);
    if (!step || this.samples.length === 0) return;
    event.preventDefault();
    const present = this.samples.findIndex((sample) => sample.number === this.chosen);
    const at = present < 0 ? this.samples.length - 1 : Math.min(this.samples.length - 1, Math.max(0, present + step));
    this.choose(this.samples[at].number);
  }

  // Shows the values of one sample, or the newest.
  choose(number) {
    const found = number === null ? undefined : this.samples.find((sample) => sample.number === number);
    this.chosen = found ? number : null;
    const sample = found ?? this.samples[this.samples.length - 1];
    this.lines.forEach((line, at) => setText(this.values[at], this.format(sample?.[line.key] ?? null)));
    setText(this.when, found ? `at ${clock(found.at_ms)}` : "now");
    this.cursor.setAttribute("visibility", found ? "visible" : "hidden");
    if (found) {
      const x = this.x(found.at_ms);
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
    }
    const words = this.lines.map((line) => `${line.label} ${this.format(sample?.[line.key] ?? null)}`);
    this.svg.setAttribute("aria-label", `${this.title}, ${found ? clock(found.at_ms) : "now"}: ${words.join(", ")}. Arrow keys move through time.`);
  }
}

// Round steps, at least two of them, and room for a line that is always nought.
function scale(highest) {
  if (!(highest > 0)) return { top: 1, step: 1 };
  const rough = highest / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? 10 * power;
  return { top: Math.ceil(highest / step) * step, step };
}

// A small line without axes, of the last values of something.
export function sparkline() {
  const path = svg("path", { class: "line line-1" });
  const root = svg("svg", { class: "spark", width: 96, height: 22, "aria-hidden": "true" }, path);
  return {
    root,
    draw(values) {
      if (values.length < 2) return path.setAttribute("d", "");
      const low = Math.min(...values);
      const range = Math.max(...values) - low || 1;
      const points = values.map((value, at) =>
        `${((at / (values.length - 1)) * 92 + 2).toFixed(1)} ${(20 - ((value - low) / range) * 18).toFixed(1)}`);
      return path.setAttribute("d", `M${points.join("L")}`);
    },
  };
}
