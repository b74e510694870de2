// What is wanted, what the host was asked for, and the newest values: one entry for each exchange, symbol and mode,
// however many components look at it.

import type { Connection } from "./connection.ts";
import { topicKey, type Instrument } from "./instruments.ts";
import type { MarketData, Outcome } from "./parse.ts";
import { MODES, type Mode, type ModeNumber } from "./protocol.ts";

/**
 * What became of one subscription:
 * `waiting`, not asked for yet; `asked`; `accepted` by the host; `active`, a tick came; `silent`, none came for a while
 * although the exchange trades; `pending`, it waits for a place at the broker; `failed`, see `code`.
 */
export interface SubscriptionState {
    readonly state: "waiting" | "asked" | Outcome["state"];
    readonly code?: string;
    readonly message?: string;
}

/** A stream that somebody wants. */
export interface Topic extends Instrument {
    readonly mode: Mode;
    /** How many want it. */
    holders: number;
    /** Whether the host was told on this connection, and has not refused. */
    isHeld: boolean;
    state: SubscriptionState;
    value: MarketData | undefined;
    /** Number of the connection that the value came over. */
    valueFrom: number;
}

/** Refusals that asking again does not change. */
const FINAL = new Set([
    "SYMBOL_NOT_FOUND",
    "INVALID_PARAMETERS",
    "INVALID_MODE",
    "INVALID_JSON",
    "INVALID_ACTION",
]);

/** Symbols in one request: well below the host's longest message, and few enough messages for its rate limit. */
const BATCH = 500;

const WAITING: SubscriptionState = { state: "waiting" };
const ASKED: SubscriptionState = { state: "asked" };

/** All streams of a client. */
export class Topics {
    readonly #byKey = new Map<string, Topic>();
    /** Requests that are not answered, by their number. */
    readonly #asked = new Map<number, { topics: Topic[]; mode: Mode }>();

    get isEmpty(): boolean {
        return this.#byKey.size === 0;
    }

    get(exchange: string, symbol: string, mode: Mode): Topic | undefined {
        return this.#byKey.get(topicKey(exchange, symbol, mode));
    }

    hold({ exchange, symbol }: Instrument, mode: Mode): Topic {
        const key = topicKey(exchange, symbol, mode);
        let topic = this.#byKey.get(key);
        if (!topic) {
            topic = {
                exchange,
                symbol,
                mode,
                holders: 0,
                isHeld: false,
                state: WAITING,
                value: undefined,
                valueFrom: 0,
            };
            this.#byKey.set(key, topic);
        }
        topic.holders++;
        return topic;
    }

    /**
     * Brings the host up to date: ends what nobody wants any more, asks for what it was not asked for yet, in as few
     * messages as fit. Without a connection it only forgets. Gives the topics whose state changed.
     */
    reconcile(connection: Connection | undefined): Topic[] {
        const changed: Topic[] = [];
        const ends = new Map<Mode, Topic[]>();
        const begins = new Map<Mode, Topic[]>();
        for (const [key, topic] of this.#byKey) {
            if (topic.holders === 0) {
                this.#byKey.delete(key);
                if (topic.isHeld) group(ends, topic);
            } else if (!topic.isHeld && topic.state.state === "waiting") {
                group(begins, topic);
            }
        }
        if (!connection) return changed;
        for (const [mode, topics] of ends) {
            for (const batch of batches(topics)) connection.unsubscribe(batch.map(wire), number(mode));
        }
        for (const [mode, topics] of begins) {
            for (const batch of batches(topics)) {
                this.#asked.set(connection.subscribe(batch.map(wire), number(mode)), { topics: batch, mode });
                for (const topic of batch) {
                    topic.isHeld = true;
                    topic.state = ASKED;
                    changed.push(topic);
                }
            }
        }
        return changed;
    }

    /** The connection is gone, and all subscriptions with it. Values stay, as the last that were known. */
    forgetConnection(): void {
        this.#asked.clear();
        for (const topic of this.#byKey.values()) {
            topic.isHeld = false;
            topic.state = WAITING;
        }
    }

    /** The values are somebody else's. */
    forgetValues(): void {
        for (const topic of this.#byKey.values()) topic.value = undefined;
    }

    /** Everything that was refused for a reason that may have passed is to be asked for again. */
    retryFailed(): void {
        for (const topic of this.#byKey.values()) if (canRetry(topic)) topic.state = WAITING;
    }

    get hasRetryable(): boolean {
        for (const topic of this.#byKey.values()) if (canRetry(topic)) return true;
        return false;
    }

    /** An acknowledgement. A symbol of which it says nothing was passed over by the host, and will not tick. */
    answered(request: number, outcomes: readonly Outcome[]): Topic[] {
        const asked = this.#asked.get(request);
        this.#asked.delete(request);
        if (!asked) return [];
        const changed = this.news(outcomes, asked.mode);
        for (const topic of asked.topics) {
            if (topic.state === ASKED)
                changed.push(fail(topic, "INVALID_PARAMETERS", "the host passed over this symbol"));
        }
        return changed;
    }

    /** A refusal of all that one request asked for. */
    refused(request: number, code: string, message: string): Topic[] {
        const asked = this.#asked.get(request);
        this.#asked.delete(request);
        return (asked?.topics ?? []).map((topic) => fail(topic, code, message));
    }

    /** What became of subscriptions. */
    news(outcomes: readonly Outcome[], assumed?: Mode): Topic[] {
        const changed: Topic[] = [];
        for (const { exchange, symbol, mode = assumed, state, code, message, isKept } of outcomes) {
            const topic = mode && this.get(exchange, symbol, mode);
            if (!topic?.isHeld) continue;
            topic.isHeld = state !== "failed" || isKept === true;
            topic.state = { state, ...(code && { code }), ...(message && { message }) };
            changed.push(topic);
        }
        return changed;
    }
}

function fail(topic: Topic, code: string, message: string): Topic {
    topic.isHeld = false;
    topic.state = { state: "failed", code, message };
    return topic;
}

function canRetry({ holders, isHeld, state }: Topic): boolean {
    return holders > 0 && !isHeld && state.state === "failed" && !FINAL.has(state.code ?? "");
}

function group(groups: Map<Mode, Topic[]>, topic: Topic): void {
    const group = groups.get(topic.mode);
    if (group) group.push(topic);
    else groups.set(topic.mode, [topic]);
}

function batches(topics: Topic[]): Topic[][] {
    const batches: Topic[][] = [];
    for (let at = 0; at < topics.length; at += BATCH) batches.push(topics.slice(at, at + BATCH));
    return batches;
}

const wire = ({ exchange, symbol }: Topic): Instrument => ({ symbol, exchange });
const number = (mode: Mode): ModeNumber => MODES.indexOf(mode) as ModeNumber;
