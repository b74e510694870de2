// The heart of the package, without React: one socket for everybody who names the same host and key, kept up as long as
// somebody wants something, with everything that is wanted asked for again after each loss.

import { pause, type Verdict } from "./backoff.ts";
import { Connection, type End } from "./connection.ts";
import type { Source } from "./credentials.ts";
import { browser, type Environment, type Timer } from "./environment.ts";
import { describe, type MarketDataError } from "./errors.ts";
import type { Instrument } from "./instruments.ts";
import type { FeedStatus, MarketData } from "./parse.ts";
import type { Mode } from "./protocol.ts";
import { Topics, type Topic } from "./topics.ts";
import { Viewers, type Viewer } from "./viewers.ts";

/**
 * Where a client is: `idle`, nobody wants anything; `connecting`; `authenticating`; `ready`; `waiting` for the next
 * attempt; `paused`, because the page is hidden; `failed`, until the key or the address changes or `reconnect` is called.
 */
export type Phase = "idle" | "connecting" | "authenticating" | "ready" | "waiting" | "paused" | "failed";

/** State of a client's connection. The object is replaced by the next state, never changed. */
export interface ConnectionState {
    readonly phase: Phase;
    readonly error: MarketDataError | null;
    /** The account's feed at the host; null while there is no connection to tell of it. */
    readonly feed: FeedStatus | null;
    /** When the next attempt is due, in milliseconds since 1970 UTC. Only in phase `waiting`. */
    readonly retryAt: number | null;
}

/** A hold on topics. */
export interface Hold {
    readonly topics: readonly Topic[];
    release(): void;
}

/** How long the socket stays when nobody wants anything, so that going from page to page keeps it. */
const LINGER_MS = 2_000;
/** How long a page is hidden before it is paused: who only looks something up in another tab keeps the stream. */
const HIDDEN_MS = 3_000;
/** How long a connection has to hold before the next loss counts as the first. */
const STABLE_MS = 30_000;
/** Pauses before what was refused for a while is asked for again. */
const RETRY_MS = [5_000, 15_000, 30_000, 60_000];
/** Shortest pause after which the page asks for another key when its own was refused, and how far it grows. */
const OTHER_KEY_MS = 30_000;
const OTHER_KEY_CAP_MS = 300_000;

const IDLE: ConnectionState = { phase: "idle", error: null, feed: null, retryAt: null };

/** A connection that is shared. */
export class MarketDataClient {
    readonly #source: Source;
    readonly #environment: Environment;
    readonly #topics = new Topics();
    readonly #viewers: Viewers;
    #keepers = 0;
    #state = IDLE;
    #connection: Connection | undefined;
    /** Number of the attempt; answers to earlier ones are of no account. */
    #attempt = 0;
    #failures = 0;
    /** Whether the network's return shortens the present pause: one that the host asked for stays. */
    #isHurriable = false;
    #user: string | undefined;
    /** The key that was refused last, which is not sent again by itself. */
    #refused: { key: string; code: string; message: string } | undefined;
    #ignored = 0;
    #unreadable = 0;

    #retryTimer: Timer | undefined;
    #lingerTimer: Timer | undefined;
    #hiddenTimer: Timer | undefined;
    #stableTimer: Timer | undefined;
    #refusedTimer: Timer | undefined;
    #refusals = 0;
    #isReconciling = false;
    #unwatch: (() => void) | undefined;

    constructor(source: Source, environment: Environment = browser) {
        this.#source = source;
        this.#environment = environment;
        this.#viewers = new Viewers(environment);
    }

    /** The present state. */
    get state(): ConnectionState {
        return this.#state;
    }

    /** Whether somebody holds something. */
    get isInUse(): boolean {
        return !this.#viewers.isEmpty;
    }

    /** Ticks of streams that nobody here holds, and frames that could not be read: counted, and shown to nobody. */
    get dropped(): { readonly ignored: number; readonly unreadable: number } {
        return { ignored: this.#ignored, unreadable: this.#unreadable };
    }

    /** The topic, if somebody holds it. */
    peek({ exchange, symbol }: Instrument, mode: Mode): Topic | undefined {
        return this.#topics.get(exchange, symbol, mode);
    }

    /** Whether the value of a topic may have been overtaken by events that this page did not hear of. */
    isStale(topic: Topic): boolean {
        const { phase, feed } = this.#state;
        return (
            phase !== "ready" ||
            (feed !== null && feed.state !== "live") ||
            topic.valueFrom !== this.#attempt ||
            topic.state.state === "failed"
        );
    }

    /**
     * Wants streams for somebody, who holds once, until they are released. `isKeptAlive` keeps the connection up
     * while the page is hidden. Nothing is sent before the present task is over, so that what is released and wanted
     * again at once costs nothing.
     */
    hold(viewer: Viewer, instruments: readonly Instrument[], mode: Mode, isKeptAlive: boolean): Hold {
        const topics = instruments.map((instrument) => this.#topics.hold(instrument, mode));
        this.#viewers.add(viewer, topics);
        if (isKeptAlive) this.#keepers++;
        this.#soon();
        let isReleased = false;
        const release = (): void => {
            if (isReleased) return;
            isReleased = true;
            for (const topic of topics) topic.holders--;
            this.#viewers.remove(viewer);
            if (isKeptAlive) this.#keepers--;
            this.#soon();
        };
        return { topics, release };
    }

    /** Gives up the present connection, pause or failure, and connects now. */
    reconnect(): void {
        this.#failures = 0;
        this.#refused = undefined;
        this.#drop();
        this.#set({ ...IDLE, error: this.#state.error });
        this.#soon();
    }

    #soon(): void {
        if (this.#isReconciling) return;
        this.#isReconciling = true;
        this.#environment.after(0, () => {
            this.#isReconciling = false;
            this.#reconcile();
        });
    }

    #reconcile(): void {
        const isReady = this.#state.phase === "ready";
        for (const topic of this.#topics.reconcile(isReady ? this.#connection : undefined))
            this.#viewers.touch(topic);
        this.#environment.cancel(this.#lingerTimer);
        if (this.#topics.isEmpty) {
            if (this.#state.phase !== "idle")
                this.#lingerTimer = this.#environment.after(LINGER_MS, () => this.#rest());
            return;
        }
        this.#unwatch ??= this.#environment.watch(this.#onPage);
        this.#checkHidden();
        if (this.#state.phase === "idle") this.#connect();
    }

    /** Nobody wants anything any more. */
    #rest(): void {
        this.#drop();
        this.#unwatch?.();
        this.#unwatch = undefined;
        this.#environment.cancel(this.#hiddenTimer);
        this.#hiddenTimer = undefined;
        this.#failures = 0;
        this.#set(IDLE);
    }

    #connect(): void {
        const attempt = ++this.#attempt;
        this.#environment.cancel(this.#retryTimer);
        this.#set({ phase: "connecting", feed: null, retryAt: null });
        this.#source.resolve(this.#environment).then(
            (credentials) => {
                if (attempt !== this.#attempt) return;
                if (credentials.key === this.#refused?.key) {
                    const { code, message } = this.#refused;
                    if (this.#source.isFixed) this.#fail(code, message);
                    else this.#waitForOtherKey(code, message);
                    return;
                }
                try {
                    this.#connection = this.#open(credentials, credentials.key);
                } catch (failure) {
                    // No attempt can reach this address, such as ws: from a page of https:.
                    this.#fail(
                        "CONFIGURATION_ERROR",
                        `the address of the host cannot be used (${describe(failure)})`,
                    );
                }
            },
            (failure: unknown) => {
                if (attempt !== this.#attempt) return;
                if (this.#source.isFixed) this.#fail("CONFIGURATION_ERROR", describe(failure));
                else this.#wait("seconds", "CONFIGURATION_ERROR", describe(failure));
            },
        );
    }

    #open(credentials: { url: string; key: string }, key: string): Connection {
        return new Connection(this.#environment, credentials, {
            opened: () => this.#set({ phase: "authenticating" }),
            authenticated: (user) => {
                // Prices of one account are not shown to another.
                if (this.#user !== undefined && this.#user !== user) this.#topics.forgetValues();
                this.#user = user;
                this.#set({ phase: "ready", error: null });
                this.#stableTimer = this.#environment.after(STABLE_MS, () => {
                    this.#failures = 0;
                });
                this.#reconcile();
            },
            notYet: (code, message) => this.#set({ error: { code, message, isRetrying: true } }),
            tick: (tick) => this.#tick(tick),
            feed: (feed) => this.#set({ feed }),
            answered: (request, outcomes) => this.#heard(this.#topics.answered(request, outcomes)),
            refused: (request, code, message) => this.#heard(this.#topics.refused(request, code, message)),
            news: (outcomes) => this.#heard(this.#topics.news(outcomes)),
            unreadable: () => {
                this.#unreadable++;
            },
            ended: (end) => this.#ended(end, key),
        });
    }

    #tick(tick: MarketData): void {
        const topic = this.#topics.get(tick.exchange, tick.symbol, tick.mode);
        if (!topic) {
            this.#ignored++;
            return;
        }
        topic.value = tick;
        topic.valueFrom = this.#attempt;
        this.#viewers.touch(topic);
    }

    #heard(topics: readonly Topic[]): void {
        for (const topic of topics) this.#viewers.touch(topic);
        if (!this.#topics.hasRetryable) this.#refusals = 0;
        else if (this.#refusedTimer === undefined) this.#retryRefused();
    }

    #retryRefused(): void {
        const pause = RETRY_MS[Math.min(this.#refusals++, RETRY_MS.length - 1)] ?? 0;
        this.#refusedTimer = this.#environment.after(pause * (0.5 + this.#environment.random() / 2), () => {
            this.#refusedTimer = undefined;
            this.#topics.retryFailed();
            this.#reconcile();
        });
    }

    #ended({ verdict, code, message, isKeyRefused }: End, key: string): void {
        this.#drop();
        if (isKeyRefused) {
            this.#refused = { key, code, message };
            if (this.#source.isFixed) this.#fail(code, message);
            // There may be another one already, as after a change of keys. If not, the page does not ask often.
            else this.#wait("seconds", code, message);
        } else if (verdict === "never") {
            this.#fail(code, message);
        } else {
            this.#wait(verdict, code, message);
        }
    }

    #fail(code: string, message: string): void {
        this.#set({
            phase: "failed",
            error: { code, message, isRetrying: false },
            feed: null,
            retryAt: null,
        });
    }

    #wait(verdict: Exclude<Verdict, "never">, code: string, message: string): void {
        this.#retryIn(
            pause(verdict, this.#failures++, () => this.#environment.random()),
            code,
            message,
        );
        this.#isHurriable = verdict === "soon";
    }

    /** The key that the page was given is refused: it may be given another one, but not by asking often. */
    #waitForOtherKey(code: string, message: string): void {
        const ceiling = Math.min(OTHER_KEY_CAP_MS, OTHER_KEY_MS * 2 ** Math.min(this.#failures++, 8));
        this.#retryIn(Math.round(ceiling * (0.5 + this.#environment.random() / 2)), code, message);
    }

    #retryIn(ms: number, code: string, message: string): void {
        this.#isHurriable = false;
        const retryAt = this.#environment.now() + ms;
        this.#set({ phase: "waiting", error: { code, message, isRetrying: true }, feed: null, retryAt });
        this.#retryTimer = this.#environment.after(ms, () => this.#connect());
    }

    /** Ends the connection, and whatever else was under way. */
    #drop(): void {
        this.#attempt++;
        this.#connection?.close();
        this.#connection = undefined;
        for (const timer of [this.#retryTimer, this.#stableTimer, this.#refusedTimer])
            this.#environment.cancel(timer);
        this.#refusedTimer = undefined;
        this.#refusals = 0;
        this.#topics.forgetConnection();
    }

    readonly #onPage = (what: "visibility" | "away" | "back" | "online"): void => {
        if (what === "away") this.#pause();
        else if (what === "online") {
            if (this.#state.phase === "waiting" && this.#isHurriable) this.#hurry();
        } else this.#checkHidden();
    };

    #hurry(): void {
        const due = (this.#state.retryAt ?? 0) - this.#environment.now();
        this.#environment.cancel(this.#retryTimer);
        this.#retryTimer = this.#environment.after(Math.min(due, this.#environment.random() * 1_000), () =>
            this.#connect(),
        );
    }

    #checkHidden(): void {
        if (!this.#environment.isHidden() || this.#keepers) {
            this.#environment.cancel(this.#hiddenTimer);
            this.#hiddenTimer = undefined;
            if (this.#state.phase === "paused") this.#connect();
        } else {
            this.#hiddenTimer ??= this.#environment.after(HIDDEN_MS, () => this.#pause());
        }
    }

    #pause(): void {
        this.#environment.cancel(this.#hiddenTimer);
        this.#hiddenTimer = undefined;
        if (this.#state.phase === "failed" || this.#state.phase === "idle") return;
        this.#drop();
        this.#set({ phase: "paused", feed: null, retryAt: null });
    }

    #set(change: Partial<ConnectionState>): void {
        this.#state = { ...this.#state, ...change };
        this.#viewers.touchAll();
    }
}
