// The daemon as a child process, with a data directory of its own, on free ports.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { SOON_MS } from "./until.ts";

const WORKSPACE = join(PACKAGE, "../../..");
const BINARY = join(process.env.CARGO_TARGET_DIR ?? join(WORKSPACE, "target"), "debug", "tickhost");

const PLUGINS = `
[[adapter]]
name = "sim"
library = "adapter_sim"
calendar = "always"

[adapter.config]
seed = 42
`;

/** What `/status` says of the only feed and of clients. */
export interface Status {
    readonly sessions: { readonly connected?: number } & Record<string, unknown>;
    readonly feeds: { readonly instruments: number; readonly sessions: number; readonly state: string }[];
}

/** A host that can be stopped and started again at the same port. */
export class Host {
    readonly #dir = mkdtempSync(join(tmpdir(), "tickhost-react-"));
    readonly #env: Record<string, string>;
    #child: ChildProcess | undefined;
    #log: string[] = [];
    #websocket = "";
    #admin = "";

    private constructor(sim: string, env: Record<string, string>) {
        writeFileSync(join(this.#dir, "plugins.toml"), PLUGINS + sim);
        this.#env = {
            PATH: process.env.PATH ?? "",
            TICKHOST_DATA_DIR: join(this.#dir, "data"),
            TICKHOST_PLUGINS: join(this.#dir, "plugins.toml"),
            ZMQ_PORT: "0",
            TICKHOST_ADMIN_PORT: "0",
            TICKHOST_LOG_FORMAT: "json",
            TICKHOST_SHARDS: "2",
            ...env,
        };
    }

    /** A daemon that serves. `sim` are more settings of the synthetic exchange, as lines of TOML. */
    static async start(sim = "rate_hz = 20.0\n", env: Record<string, string> = {}): Promise<Host> {
        if (!existsSync(BINARY))
            throw new Error(`${BINARY} is missing: cargo build -p tickhost -p adapter-sim`);
        const host = new Host(sim, env);
        for (let tries = 5; ; tries--) {
            // A port that the system gives to connections as well could be taken while the host is stopped.
            host.#env.WEBSOCKET_PORT = String(20_000 + Math.floor(Math.random() * 10_000));
            try {
                await host.start();
                return host;
            } catch (failure) {
                await host.stop("SIGKILL");
                if (tries === 0) throw failure;
            }
        }
    }

    /** Where clients connect. */
    get url(): string {
        return `ws://${this.#websocket}`;
    }

    /** The key that the first run made. */
    get key(): string {
        return readFileSync(join(this.#dir, "data/demo.key"), "utf8").trim();
    }

    /** Starts the daemon, again at the port that it had before. */
    async start(): Promise<void> {
        const child = spawn(BINARY, ["run"], { env: this.#env, stdio: ["ignore", "pipe", "pipe"] });
        this.#child = child;
        const serving = await new Promise<{ websocket: string; admin: string }>((resolve, reject) => {
            const failed = (why: string): void => {
                clearTimeout(timer);
                reject(new Error(`the host ${why}:\n${this.#log.join("\n")}`));
            };
            const timer = setTimeout(() => failed("does not serve"), SOON_MS);
            child.once("exit", (code) => failed(`ended with ${code}`));
            for (const stream of [child.stdout, child.stderr]) {
                createInterface({ input: stream }).on("line", (line) => {
                    this.#log.push(line);
                    if (!line.includes('"Serving"')) return;
                    clearTimeout(timer);
                    child.removeAllListeners("exit");
                    resolve((JSON.parse(line) as { fields: { websocket: string; admin: string } }).fields);
                });
            }
        });
        this.#websocket = serving.websocket;
        this.#admin = serving.admin;
    }

    /** Ends the daemon: with a word to its clients, or without. */
    async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
        const child = this.#child;
        this.#child = undefined;
        if (!child || child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill(signal);
        await ended;
    }

    /** Another command of the same binary with the same settings; gives what it printed. */
    async run(...args: string[]): Promise<string> {
        const { stdout } = await promisify(execFile)(BINARY, args, { env: this.#env });
        return stdout;
    }

    /** The status page. */
    async status(): Promise<Status> {
        return (await (await fetch(`http://${this.#admin}/status`)).json()) as Status;
    }

    /** Instruments that the feed has subscribed, whoever holds them. */
    async instruments(): Promise<number> {
        return (await this.status()).feeds.reduce((sum, feed) => sum + feed.instruments, 0);
    }

    /** Sessions that the feeds serve. */
    async sessions(): Promise<number> {
        return (await this.status()).feeds.reduce((sum, feed) => sum + feed.sessions, 0);
    }

    /** Ends the daemon and forgets its data. */
    async end(): Promise<void> {
        await this.stop("SIGKILL");
        rmSync(this.#dir, { recursive: true, force: true });
    }
}
