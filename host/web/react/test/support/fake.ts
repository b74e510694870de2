// A browser without time and network: timers run when a test says so, and sockets say what it says.

import { MarketDataClient, type Hold } from "../../src/client.ts";
import { source, type Source } from "../../src/credentials.ts";
import type { Environment, Timer } from "../../src/environment.ts";
import type { Instrument } from "../../src/instruments.ts";
import type { Mode } from "../../src/protocol.ts";

/** A socket whose other end is the test. */
export class FakeSocket {
    readonly sent: Record<string, unknown>[] = [];
    readonly url: string;
    isClosed = false;
    /** As a browser counts: 1 is open, 2 is closing. */
    readyState = 1;
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;

    constructor(url: string) {
        this.url = url;
    }

    send(text: string): void {
        this.sent.push(JSON.parse(text) as Record<string, unknown>);
    }

    close(): void {
        this.isClosed = true;
    }

    /** The host says something. */
    say(message: unknown): void {
        this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
    }

    /** The host, or the network, ends the connection. */
    drop(code: number, reason = ""): void {
        this.isClosed = true;
        this.onclose?.({ code, reason });
    }

    /** Opens, and accepts the key. */
    accept(user = "alice"): void {
        this.onopen?.();
        this.say({
            type: "auth",
            status: "success",
            message: "Authentication successful",
            broker: "sim",
            user_id: user,
            supported_features: { ltp: true, quote: true, depth: true },
        });
    }

    /** Answers the newest subscribe with success. */
    acknowledge(): void {
        const { symbols, request_id } = this.requests("subscribe").at(-1) as {
            symbols: Instrument[];
            request_id: number;
        };
        const subscriptions = symbols.map((symbol) => ({
            ...symbol,
            status: "success",
            mode: "LTP",
            depth: 5,
            broker: "sim",
        }));
        this.say({
            type: "subscribe",
            status: "success",
            subscriptions,
            message: "",
            broker: "sim",
            request_id,
        });
    }

    tick(symbol: string, ltp: number, exchange = "NSE", mode = 1): void {
        this.say({
            type: "market_data",
            symbol,
            exchange,
            mode,
            broker: "sim",
            topic: `${symbol}.${exchange}`,
            data: { symbol, exchange, ltp, timestamp: 1_705_294_800_123 },
        });
    }

    requests(action: string): Record<string, unknown>[] {
        return this.sent.filter((request) => request.action === action);
    }
}

interface Waiting {
    at: number;
    run: () => void;
}

/** The browser. */
export class FakeBrowser implements Environment {
    readonly sockets: FakeSocket[] = [];
    readonly #timers = new Set<Waiting>();
    readonly #frames: (() => void)[] = [];
    readonly #watchers = new Set<(what: "visibility" | "away" | "back" | "online") => void>();
    #now = 1_705_294_800_000;
    /** What chance gives. */
    chance = 0.5;
    hidden = false;
    answer: (url: string) => Promise<Response> = () => Promise.reject(new TypeError("no network"));

    now = (): number => this.#now;
    random = (): number => this.chance;
    isHidden = (): boolean => this.hidden;
    fetch = (url: string): Promise<Response> => this.answer(url);

    after(ms: number, run: () => void): Timer {
        const timer = { at: this.#now + ms, run };
        this.#timers.add(timer);
        return timer as unknown as Timer;
    }

    cancel(timer: Timer | undefined): void {
        this.#timers.delete(timer as unknown as Waiting);
    }

    onFrame(run: () => void): void {
        this.#frames.push(run);
    }

    open(url: string): WebSocket {
        const socket = new FakeSocket(url);
        this.sockets.push(socket);
        return socket as unknown as WebSocket;
    }

    watch(event: (what: "visibility" | "away" | "back" | "online") => void): () => void {
        this.#watchers.add(event);
        return () => this.#watchers.delete(event);
    }

    /** Whether the page is still listened to. */
    get isWatched(): boolean {
        return this.#watchers.size > 0;
    }

    /** Timers that wait. */
    get timers(): number {
        return this.#timers.size;
    }

    /** Something happens to the page. */
    happen(what: "visibility" | "away" | "back" | "online"): void {
        for (const watcher of [...this.#watchers]) watcher(what);
    }

    /** The newest socket. */
    get socket(): FakeSocket {
        const socket = this.sockets.at(-1);
        if (!socket) throw new Error("no socket was opened");
        return socket;
    }

    /** Lets time pass, with everything that is due, promises and frames included. */
    async pass(ms: number): Promise<void> {
        const end = this.#now + ms;
        for (;;) {
            await new Promise((settled) => setImmediate(settled));
            for (const frame of this.#frames.splice(0)) frame();
            const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
            if (!next) break;
            this.#timers.delete(next);
            this.#now = Math.max(this.#now, next.at);
            next.run();
        }
        this.#now = end;
    }
}

/** A client in a fake browser. */
export class Bench {
    readonly browser = new FakeBrowser();
    readonly client: MarketDataClient;
    changes = 0;

    constructor(from: Source = source({ url: "ws://host", apiKey: "secret-key" })) {
        this.client = new MarketDataClient(from, this.browser);
    }

    hold(symbols: string[], mode: Mode = "ltp", isKeptAlive = false): Hold {
        const viewer = { changed: () => void this.changes++ };
        return this.client.hold(
            viewer,
            symbols.map((symbol) => ({ exchange: "NSE", symbol })),
            mode,
            isKeptAlive,
        );
    }

    /** Holds symbols over a connection that is up. */
    async connected(symbols: string[]): Promise<Hold> {
        const hold = this.hold(symbols);
        await this.browser.pass(0);
        this.browser.socket.accept();
        this.browser.socket.acknowledge();
        await this.browser.pass(0);
        return hold;
    }
}
