// What one component sees: a picture of its topics that is replaced only when something in it changes.

import type { ConnectionState, Hold, MarketDataClient, Phase } from "./client.ts";
import type { MarketDataError } from "./errors.ts";
import { symbolKey, type Instrument } from "./instruments.ts";
import type { FeedStatus, MarketData } from "./parse.ts";
import type { Mode } from "./protocol.ts";
import type { SubscriptionState, Topic } from "./topics.ts";
import type { Viewer } from "./viewers.ts";

/** What the hook gives. Every part keeps its identity until it changes. */
export interface MarketDataResult {
    /** The newest values by `"EXCHANGE:SYMBOL"`, without those of which nothing is known yet. */
    readonly data: ReadonlyMap<string, MarketData>;
    /** What became of each subscription, by the same names. */
    readonly subscriptions: ReadonlyMap<string, SubscriptionState>;
    /** Whether a socket to the host is open. */
    readonly isConnected: boolean;
    /** Whether the host has accepted the key. */
    readonly isAuthenticated: boolean;
    /** Whether the connection rests because the page is hidden. */
    readonly isPaused: boolean;
    /**
     * Whether some value in `data` may have been overtaken without this page hearing of it: there is no connection, the
     * broker's feed is not live, or the symbol has not ticked since the last loss or is not subscribed any more.
     */
    readonly isStale: boolean;
    /** Which values those are. */
    readonly stale: ReadonlySet<string>;
    /** What went wrong last with the connection or the request; null when it is over. */
    readonly error: MarketDataError | null;
    /** The account's feed at the host; null while there is no connection to tell of it. */
    readonly feed: FeedStatus | null;
    readonly phase: Phase;
    /** When the next attempt to connect is due, in milliseconds since 1970 UTC; null when none is. */
    readonly retryAt: number | null;
    /** Connects now, whatever the state. The function stays the same. */
    readonly reconnect: () => void;
}

/** What a component asks for, read. */
export interface Wish {
    readonly instruments: readonly Instrument[];
    readonly mode: Mode;
    readonly isKeptAlive: boolean;
    /** What could not be read. */
    readonly error: MarketDataError | null;
}

const NOTHING: ReadonlySet<string> = new Set();
const WAITING: SubscriptionState = { state: "waiting" };

/** A component's view. It holds its topics while somebody listens to it. */
export class View implements Viewer {
    readonly #client: MarketDataClient;
    readonly #wish: Wish;
    readonly #keys: readonly string[];
    readonly #reconnect: () => void;
    #listener: (() => void) | undefined;
    #hold: Hold | undefined;
    #result: MarketDataResult;

    constructor(client: MarketDataClient, wish: Wish) {
        this.#client = client;
        this.#wish = wish;
        this.#keys = wish.instruments.map(symbolKey);
        this.#reconnect = () => client.reconnect();
        this.#result = this.#paint();
    }

    readonly subscribe = (listener: () => void): (() => void) => {
        const { instruments, mode, isKeptAlive } = this.#wish;
        this.#listener = listener;
        // Who wants no symbols hears of the connection, but does not keep it.
        this.#hold = this.#client.hold(this, instruments, mode, isKeptAlive && instruments.length > 0);
        this.#result = this.#paint();
        return () => {
            this.#hold?.release();
            this.#hold = undefined;
            this.#listener = undefined;
        };
    };

    readonly result = (): MarketDataResult => this.#result;

    /** The value of the first symbol, for who looks at only one. */
    readonly first = (): MarketData | undefined => this.#result.data.get(this.#keys[0] ?? "");

    changed(): void {
        const before = this.#result;
        this.#result = this.#paint();
        if (before !== this.#result) this.#listener?.();
    }

    #paint(): MarketDataResult {
        const before: MarketDataResult | undefined = this.#result;
        const { state } = this.#client;
        const data = new Map<string, MarketData>();
        const subscriptions = new Map<string, SubscriptionState>();
        const stale = new Set<string>();
        this.#wish.instruments.forEach((instrument, at) => {
            const key = this.#keys[at] as string;
            const topic: Topic | undefined =
                this.#hold?.topics[at] ?? this.#client.peek(instrument, this.#wish.mode);
            subscriptions.set(key, topic?.state ?? WAITING);
            if (!topic?.value) return;
            data.set(key, topic.value);
            if (this.#client.isStale(topic)) stale.add(key);
        });
        const result: MarketDataResult = {
            data: before && isSame(before.data, data) ? before.data : data,
            subscriptions:
                before && isSame(before.subscriptions, subscriptions) ? before.subscriptions : subscriptions,
            stale:
                stale.size === 0 ? NOTHING : before && isSameSet(before.stale, stale) ? before.stale : stale,
            isStale: stale.size > 0,
            ...connection(state),
            error: this.#wish.error ?? state.error,
            reconnect: this.#reconnect,
        };
        const names = Object.keys(result) as (keyof MarketDataResult)[];
        return before && names.every((name) => before[name] === result[name]) ? before : result;
    }
}

function connection({ phase, feed, retryAt }: ConnectionState) {
    return {
        isConnected: phase === "ready" || phase === "authenticating",
        isAuthenticated: phase === "ready",
        isPaused: phase === "paused",
        feed,
        phase,
        retryAt,
    };
}

function isSame<T>(before: ReadonlyMap<string, T>, now: ReadonlyMap<string, T>): boolean {
    if (before.size !== now.size) return false;
    for (const [key, value] of now) if (before.get(key) !== value) return false;
    return true;
}

function isSameSet(before: ReadonlySet<string>, now: ReadonlySet<string>): boolean {
    if (before.size !== now.size) return false;
    for (const key of now) if (!before.has(key)) return false;
    return true;
}
