// One socket from its opening to its end: the key, requests in order, and signs of life. It knows no component and never
// connects again; whoever made it is told once that it ended.

import { verdict, type Verdict } from "./backoff.ts";
import type { Credentials } from "./credentials.ts";
import type { Environment, Timer } from "./environment.ts";
import { parse, type FeedStatus, type MarketData, type Outcome } from "./parse.ts";
import type { ModeNumber, WireInstrument, WireRequest } from "./protocol.ts";

/** Why a connection ended. */
export interface End {
    readonly verdict: Verdict;
    readonly code: string;
    readonly message: string;
    /** Whether it was the key that was not accepted. */
    readonly isKeyRefused: boolean;
}

/** What a connection tells. */
export interface Listener {
    /** The socket is open and the key is on its way. */
    opened(): void;
    /** The key is good. Only from now on may something be asked. */
    authenticated(user: string): void;
    /** The key is good, or could not be checked yet; the connection tries again by itself. */
    notYet(code: string, message: string): void;
    tick(tick: MarketData): void;
    feed(feed: FeedStatus): void;
    /** The answer to a subscribe request, by its number. */
    answered(request: number, outcomes: readonly Outcome[]): void;
    /** A subscribe request was refused as a whole. */
    refused(request: number, code: string, message: string): void;
    /** What became of subscriptions later. */
    news(outcomes: readonly Outcome[]): void;
    /** A frame that the host could not have meant. */
    unreadable(): void;
    ended(end: End): void;
}

/** `WebSocket.OPEN`, which is not there where pages are rendered on a server. */
const OPEN = 1;
/** Longest time from the start to an open socket, and from a request to its answer: the host gives itself 4 s. */
const ANSWER_MS = 20_000;
/** Silence after which the host is asked for a sign of life. Its own pings are not seen by a page. */
const SILENCE_MS = 20_000;
/** How often the two are looked at. */
const WATCH_MS = 5_000;
/** Pauses before a key that could not be used is sent again. */
const AGAIN_MS = [5_000, 15_000, 30_000, 60_000];

type Asked = { kind: "auth" | "subscribe" | "unsubscribe" | "ping"; id: number; at: number };

/** A connection. It begins when it is made. */
export class Connection {
    readonly #environment: Environment;
    readonly #key: string;
    readonly #listener: Listener;
    #socket: WebSocket | undefined;
    #timer: Timer | undefined;
    #again: Timer | undefined;
    #refusals = 0;
    /** Requests that are not answered, oldest first: the host works them off in this order. */
    #asked: Asked[] = [];
    #lastId = 0;
    #heardAt: number;
    #startedAt: number;
    #isOpen = false;
    #isAuthenticated = false;

    constructor(environment: Environment, { url, key }: Credentials, listener: Listener) {
        this.#environment = environment;
        this.#key = key;
        this.#listener = listener;
        this.#startedAt = this.#heardAt = environment.now();
        const socket = environment.open(url);
        this.#socket = socket;
        socket.onopen = () => {
            this.#isOpen = true;
            this.#heardAt = environment.now();
            listener.opened();
            this.#authenticate();
        };
        socket.onmessage = (event: MessageEvent) => this.#receive(event.data);
        socket.onclose = ({ code, reason }: CloseEvent) =>
            this.#end({
                verdict: verdict(code, reason),
                code: "CONNECTION_LOST",
                message: reason
                    ? `the host closed the connection: ${reason} (${code})`
                    : `the connection was lost (${code})`,
                isKeyRefused: code === 4403,
            });
        this.#timer = environment.after(WATCH_MS, this.#watch);
    }

    /** Asks for streams of one mode, and gives the number by which the answer will be told. */
    subscribe(symbols: readonly WireInstrument[], mode: ModeNumber): number {
        return this.#request("subscribe", symbols, mode);
    }

    /** Ends streams of one mode. */
    unsubscribe(symbols: readonly WireInstrument[], mode: ModeNumber): void {
        this.#request("unsubscribe", symbols, mode);
    }

    /** Closes the socket without a word to the listener. */
    close(): void {
        this.#environment.cancel(this.#timer);
        this.#environment.cancel(this.#again);
        const socket = this.#socket;
        this.#socket = undefined;
        if (!socket) return;
        // The other side may be long gone, and the closing handshake with it; nobody waits for that.
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close(1000);
    }

    #request(
        action: "subscribe" | "unsubscribe",
        symbols: readonly WireInstrument[],
        mode: ModeNumber,
    ): number {
        const id = this.#note(action);
        this.#send({ action, symbols, mode, request_id: id });
        return id;
    }

    #authenticate(): void {
        this.#note("auth");
        this.#send({
            action: "authenticate",
            api_key: this.#key,
            feed_status: true,
            subscription_status: true,
        });
    }

    #note(kind: Asked["kind"]): number {
        const id = ++this.#lastId;
        this.#asked.push({ kind, id, at: this.#environment.now() });
        return id;
    }

    #send(request: WireRequest): void {
        // One that is closing takes nothing any more. Its end is about to be told, and the next one asks for everything.
        if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(request));
    }

    #receive(raw: unknown): void {
        const now = this.#environment.now();
        this.#heardAt = now;
        const frame = parse(raw, now);
        switch (frame?.kind) {
            case undefined:
                this.#listener.unreadable();
                break;
            case "tick":
                // A tick before the key was accepted would be somebody else's.
                if (this.#isAuthenticated) this.#listener.tick(frame.tick);
                break;
            case "feed":
                this.#listener.feed(frame.feed);
                break;
            case "news":
                this.#listener.news(frame.outcomes);
                break;
            case "auth":
                this.#answer("auth");
                this.#isAuthenticated = true;
                this.#listener.authenticated(frame.user);
                break;
            case "pong":
                this.#answer("ping");
                break;
            case "subscribed":
                this.#acknowledged(frame.id, frame.outcomes);
                break;
            case "unsubscribed":
                this.#answer("unsubscribe", frame.id);
                break;
            case "error":
                this.#refuse(frame.code, frame.message);
                break;
            case "other":
        }
    }

    #acknowledged(id: unknown, outcomes: readonly Outcome[]): void {
        const asked = this.#answer("subscribe", id);
        if (asked) this.#listener.answered(asked.id, outcomes);
    }

    /**
     * Takes the request that was answered off the list, by its number or else the oldest of its kind. What was asked
     * before it will not be answered any more.
     */
    #answer(kind: Asked["kind"], id?: unknown): Asked | undefined {
        const at = this.#asked.findIndex(
            (asked) => asked.kind === kind && (id === undefined || asked.id === id),
        );
        return this.#asked.splice(0, at + 1).at(-1);
    }

    /** An error names no request, so it is the answer to the oldest one. */
    #refuse(code: string, message: string): void {
        const asked = this.#asked.shift();
        if (asked?.kind === "subscribe") this.#listener.refused(asked.id, code, message);
        if (asked?.kind !== "auth") return;
        if (code === "AUTHENTICATION_ERROR") {
            this.#end({ verdict: "never", code, message, isKeyRefused: true });
            return;
        }
        // The host is busy, or the user has no account that works: the key stays good, and so does the connection.
        this.#listener.notYet(code, message);
        const pause = AGAIN_MS[Math.min(this.#refusals++, AGAIN_MS.length - 1)] ?? 0;
        this.#again = this.#environment.after(pause * (0.5 + this.#environment.random() / 2), () =>
            this.#authenticate(),
        );
    }

    readonly #watch = (): void => {
        const now = this.#environment.now();
        const oldest = this.#isOpen ? this.#asked[0]?.at : this.#startedAt;
        if (oldest !== undefined && now - oldest > ANSWER_MS) {
            this.#end({
                verdict: "soon",
                code: "CONNECTION_LOST",
                message: this.#isOpen ? "the host does not answer any more" : "the host does not answer",
                isKeyRefused: false,
            });
            return;
        }
        if (this.#isOpen && !this.#asked.length && now - this.#heardAt >= SILENCE_MS) {
            this.#send({ action: "ping", _pingId: this.#note("ping") });
        }
        this.#timer = this.#environment.after(WATCH_MS, this.#watch);
    };

    #end(end: End): void {
        if (!this.#socket) return;
        this.close();
        this.#listener.ended(end);
    }
}
