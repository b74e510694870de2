// The real daemon as a child process, on free ports and with a data folder of its own.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const ROOT = resolve(import.meta.dirname, "../..");
const BUILT = process.env.TICKHOST_BUILT ?? join(ROOT, "target/debug");
export const SOON_MS = 30_000;

export function plugins(config = "", brokers = ["sim"]) {
  return `
[[adapter]]
name = "sim"
library = "adapter_sim"
brokers = ${JSON.stringify(brokers)}
calendar = "always"

[adapter.config]
seed = 42
${config || "rate_hz = 10.0"}
`;
}

export class Host {
  static async start({ sim = "", brokers, env = {}, ports = {} } = {}) {
    const host = new Host();
    host.dir = mkdtempSync(join(tmpdir(), "tickhost-browser-"));
    host.data = join(host.dir, "data");
    host.env = {
      PATH: process.env.PATH, HOME: host.dir,
      TICKHOST_DATA_DIR: host.data, TICKHOST_PLUGINS: join(host.dir, "plugins.toml"), TICKHOST_PLUGIN_DIR: BUILT,
      WEBSOCKET_PORT: "0", TICKHOST_ADMIN_PORT: "0", TICKHOST_BUS: "false", TICKHOST_SHARDS: "2", TICKHOST_LOG_FORMAT: "json",
      TICKHOST_FEED_LINGER_SECONDS: "60", ...(typeof env === "function" ? env(host.dir) : env),
    };
    host.writePlugins(sim, brokers);
    await host.serve(ports);
    return host;
  }

  writePlugins(sim, brokers) {
    writeFileSync(join(this.dir, "plugins.toml"), plugins(sim, brokers));
  }

  // Starts the process; later again on the same ports.
  async serve({ websocket, admin } = {}) {
    const env = { ...this.env };
    if (websocket) env.WEBSOCKET_PORT = String(websocket);
    if (admin) env.TICKHOST_ADMIN_PORT = String(admin);
    const child = spawn(join(BUILT, "tickhost"), ["run"], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    this.log = [];
    this.ended = new Promise((done) => child.once("exit", done));
    const serving = new Promise((done, failed) => {
      const take = (line) => {
        this.log.push(line);
        if (!line.includes('"Serving"')) return;
        const { fields } = JSON.parse(line);
        done(fields);
      };
      for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", take);
      child.once("exit", () => failed(new Error(`the daemon does not serve:\n${this.log.join("\n")}`)));
      setTimeout(() => failed(new Error("the daemon does not serve in time")), SOON_MS).unref();
    });
    const fields = await serving;
    this.websocket = fields.websocket;
    this.admin = fields.admin;
  }

  get ports() {
    const port = (address) => Number(address.split(":").pop());
    return { websocket: port(this.websocket), admin: port(this.admin) };
  }

  // Another command of the same program with the same settings.
  run(...args) {
    const done = spawnSync(join(BUILT, "tickhost"), args, { env: this.env, encoding: "utf8", input: "{}" });
    if (done.status !== 0) throw new Error(`tickhost ${args.join(" ")}: ${done.stdout}${done.stderr}`);
    return done.stdout.trim();
  }

  get link() {
    return this.run("console");
  }

  get key() {
    return readFileSync(join(this.data, "demo.key"), "utf8").trim();
  }

  async halt() {
    this.child.kill("SIGTERM");
    await this.ended;
  }

  async stop() {
    await this.halt();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
