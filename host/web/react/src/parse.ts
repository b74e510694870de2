// Frames of the host, read without trust: what is not as it should be costs that frame or that member, and nothing else.

import {
    FEED_STATES,
    GREEKS,
    MODES,
    TICK_NUMBERS,
    type Depth,
    type FeedState,
    type Greeks,
    type Level,
    type Mode,
    type TickNumbers,
} from "./protocol.ts";

/** The newest values of one symbol in one mode. The object is replaced by the next tick, never changed. */
export interface MarketData extends TickNumbers {
    /** As it was subscribed. */
    readonly symbol: string;
    /** As it was subscribed. */
    readonly exchange: string;
    readonly mode: Mode;
    /** Whose data it is. */
    readonly broker: string;
    /** Time the exchange put on the tick, or of its receipt by the host, in milliseconds since 1970 UTC. */
    readonly timestamp: number;
    /** Whether the host repeated what it knew already, which may be old when the exchange is closed. */
    readonly isSnapshot: boolean;
    /** Of an option, in modes quote and depth. */
    readonly greeks?: Greeks;
    /** Only in mode depth. */
    readonly depth?: Depth;
}

/** State of the account's feed at the host. */
export interface FeedStatus {
    readonly broker: string;
    readonly state: FeedState;
    /** The state in a sentence, for people. */
    readonly message: string;
    /** When this was received, by the browser's clock; the ages below are those of that moment. */
    readonly receivedAt: number;
    readonly stateAgeMs?: number;
    readonly lastTickAgeMs?: number;
    readonly retryInMs?: number;
    readonly attempts?: number;
    readonly market?: "open" | "pre_open" | "closed";
    readonly opensInMs?: number;
}

/** What became of one subscription. */
export interface Outcome {
    readonly exchange: string;
    readonly symbol: string;
    /** Missing in the acknowledgement of what was refused, which has the mode of its request. */
    readonly mode?: Mode;
    readonly state: "accepted" | "active" | "silent" | "pending" | "failed";
    readonly code?: string;
    readonly message?: string;
    /** The subscription goes on although it failed. */
    readonly isKept?: true;
}

/** A frame that says something to the client. */
export type Frame =
    | { kind: "tick"; tick: MarketData }
    | { kind: "auth"; user: string; broker: string }
    | { kind: "subscribed"; id: unknown; outcomes: Outcome[] }
    | { kind: "unsubscribed"; id: unknown }
    | { kind: "news"; outcomes: Outcome[] }
    | { kind: "feed"; feed: FeedStatus }
    | { kind: "pong" }
    | { kind: "error"; code: string; message: string }
    | { kind: "other" };

/** Longest frame that is looked at, in UTF-16 units. The longest that the host makes is an answer to 500 symbols. */
const LONGEST = 4 << 20;

type Members = Record<string, unknown>;

const text = (value: unknown): value is string => typeof value === "string";
const finite = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const members = (value: unknown): value is Members =>
    typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Reads a frame. Undefined when it is none that the host could have meant. */
export function parse(raw: unknown, now: number): Frame | undefined {
    if (!text(raw) || raw.length > LONGEST) return undefined;
    let message: unknown;
    try {
        message = JSON.parse(raw);
    } catch {
        return undefined;
    }
    if (!members(message)) return undefined;
    switch (message.type) {
        case "market_data":
            return tick(message);
        case "auth":
            return message.status === "success"
                ? { kind: "auth", user: words(message.user_id), broker: words(message.broker) }
                : undefined;
        case "subscribe":
            return {
                kind: "subscribed",
                id: message.request_id,
                outcomes: outcomes(message.subscriptions, acknowledged),
            };
        case "unsubscribe":
            return { kind: "unsubscribed", id: message.request_id };
        case "subscription_status":
            return {
                kind: "news",
                outcomes: Array.isArray(message.subscriptions)
                    ? outcomes(message.subscriptions, (entry) => entry.state)
                    : outcomes([message], () => "failed"),
            };
        case "feed_status":
            return feed(message, now);
        case "pong":
            return { kind: "pong" };
        case undefined:
            return message.status === "error"
                ? { kind: "error", code: words(message.code), message: words(message.message) }
                : undefined;
        default:
            return { kind: "other" };
    }
}

function words(value: unknown): string {
    return text(value) ? value.slice(0, 1024) : "";
}

function tick(message: Members): Frame | undefined {
    const { symbol, exchange, data } = message;
    const mode = finite(message.mode) ? MODES[message.mode] : undefined;
    if (!text(symbol) || !text(exchange) || !mode || !members(data)) return undefined;
    // The names stand twice. Where they differ nobody can say whose prices these are, so nobody gets to see them.
    if (data.symbol !== symbol || data.exchange !== exchange || !finite(data.timestamp)) return undefined;
    const tick: Members = {
        symbol,
        exchange,
        mode,
        broker: words(message.broker),
        timestamp: data.timestamp,
        isSnapshot: message.snapshot === true,
    };
    for (const name of TICK_NUMBERS) {
        const value = data[name];
        if (finite(value)) tick[name] = value;
    }
    if (members(data.greeks)) {
        const greeks: Members = {};
        for (const name of GREEKS) {
            const value = data.greeks[name];
            if (finite(value)) greeks[name] = value;
        }
        tick.greeks = greeks;
    }
    if (mode === "depth") {
        const book = members(data.depth) ? data.depth : {};
        const buy = levels(book.buy);
        const sell = levels(book.sell);
        // A book with one unreadable level is left out as a whole: a hole in it would be taken for a price without bids.
        if (buy && sell) tick.depth = { buy, sell };
    }
    return { kind: "tick", tick: tick as unknown as MarketData };
}

function levels(side: unknown): Level[] | undefined {
    if (!Array.isArray(side)) return undefined;
    const levels: Level[] = [];
    for (const level of side) {
        if (!members(level) || !finite(level.price) || !finite(level.quantity)) return undefined;
        levels.push({
            price: level.price,
            quantity: level.quantity,
            orders: finite(level.orders) ? level.orders : 0,
        });
    }
    return levels;
}

const acknowledged = (entry: Members): unknown => (entry.status === "success" ? "accepted" : "failed");
const STATES: unknown[] = ["accepted", "active", "silent", "pending", "failed"];

function outcomes(entries: unknown, state: (entry: Members) => unknown): Outcome[] {
    const read: Outcome[] = [];
    for (const entry of list(entries)) {
        if (!members(entry) || !text(entry.symbol) || !text(entry.exchange)) continue;
        const is = state(entry);
        if (!STATES.includes(is)) continue;
        const mode = text(entry.mode) ? (entry.mode.toLowerCase() as Mode) : undefined;
        read.push({
            symbol: entry.symbol,
            exchange: entry.exchange,
            state: is as Outcome["state"],
            ...(mode && MODES.includes(mode) && { mode }),
            ...(text(entry.code) && { code: words(entry.code) }),
            ...(text(entry.message) && { message: words(entry.message) }),
            ...(entry.kept === true && { isKept: true as const }),
        });
    }
    return read;
}

function feed(message: Members, now: number): Frame | undefined {
    if (!FEED_STATES.includes(message.state as FeedState)) return undefined;
    const status: Members = {
        broker: words(message.broker),
        state: message.state,
        message: words(message.message),
        receivedAt: now,
    };
    const numbers = {
        stateAgeMs: message.state_age_ms,
        lastTickAgeMs: message.last_tick_age_ms,
        retryInMs: message.retry_in_ms,
        attempts: message.attempts,
        opensInMs: message.opens_in_ms,
    };
    for (const [name, value] of Object.entries(numbers)) if (finite(value)) status[name] = value;
    if (["open", "pre_open", "closed"].includes(message.market as string)) status.market = message.market;
    return { kind: "feed", feed: status as unknown as FeedStatus };
}
