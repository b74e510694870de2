// What goes over the wire, as PROTOCOL.md of the host has it. The test `golden` holds these types to the host's samples.

/** What is subscribed of a symbol. A higher mode contains the values of the lower ones. */
export type Mode = "ltp" | "quote" | "depth";

/** The modes by the numbers that frames carry. */
export const MODES: readonly (Mode | undefined)[] = [undefined, "ltp", "quote", "depth"];

/** The number of a mode on the wire. */
export type ModeNumber = 1 | 2 | 3;

/** One price of the book. */
export interface Level {
    readonly price: number;
    /** Units that rest at this price. */
    readonly quantity: number;
    /** Orders at this price; 0 when the broker does not say. */
    readonly orders: number;
}

/** The book, best price first. */
export interface Depth {
    readonly buy: readonly Level[];
    readonly sell: readonly Level[];
}

/** Numbers of a tick. What the broker does not send is absent: nothing is null, and no zero stands for "unknown". */
export interface TickNumbers {
    /** Last traded price. */
    readonly ltp?: number;
    /** Time of the last trade, in milliseconds since 1970 UTC. */
    readonly ltt?: number;
    /** Units traded today. */
    readonly volume?: number;
    /** Units of the last trade. */
    readonly last_trade_quantity?: number;
    /** The same, under the other name in use. */
    readonly last_quantity?: number;
    /** Of the day. */
    readonly open?: number;
    /** Of the day. */
    readonly high?: number;
    /** Of the day. */
    readonly low?: number;
    /** What the broker calls so, usually that of the day before. */
    readonly close?: number;
    /** Volume-weighted average price of the day. */
    readonly average_price?: number;
    /** The same under its other name. */
    readonly avg_trade_price?: number;
    /** Units that are bid for in the whole book. */
    readonly total_buy_quantity?: number;
    /** Units that are offered in the whole book. */
    readonly total_sell_quantity?: number;
    /** Against the previous close. */
    readonly change?: number;
    /** Against the previous close, in percent. */
    readonly change_percent?: number;
    /** Open interest, in contracts or units as the exchange counts. */
    readonly oi?: number;
    /** The highest open interest today. */
    readonly oi_high?: number;
    /** The lowest open interest today. */
    readonly oi_low?: number;
    /** Best bid. */
    readonly bid_price?: number;
    /** Best offer. */
    readonly ask_price?: number;
    /** Units at the best bid. */
    readonly bid_size?: number;
    /** Units at the best offer. */
    readonly ask_size?: number;
    /** Highest price that may trade today. */
    readonly upper_circuit?: number;
    /** Lowest price that may trade today. */
    readonly lower_circuit?: number;
    /** Close of the day before, when the broker sends it apart from `close`. */
    readonly prev_close?: number;
    /** Implied volatility of an option, in percent a year: 14.5 for 14.5 %. */
    readonly implied_volatility?: number;
}

/** The names in {@link TickNumbers}. */
export const TICK_NUMBERS = [
    "ltp",
    "ltt",
    "volume",
    "last_trade_quantity",
    "last_quantity",
    "open",
    "high",
    "low",
    "close",
    "average_price",
    "avg_trade_price",
    "total_buy_quantity",
    "total_sell_quantity",
    "change",
    "change_percent",
    "oi",
    "oi_high",
    "oi_low",
    "bid_price",
    "ask_price",
    "bid_size",
    "ask_size",
    "upper_circuit",
    "lower_circuit",
    "prev_close",
    "implied_volatility",
] as const satisfies readonly (keyof TickNumbers)[];

// A name that is in the type and not in the list stops the type check here.
type Forgotten = Exclude<keyof TickNumbers, (typeof TICK_NUMBERS)[number]>;
const _complete: [Forgotten] extends [never] ? true : Forgotten = true;
void _complete;

/** Greeks of an option, by the broker's model. What it does not send is absent. */
export interface Greeks {
    /** Change of the price for a change of the underlying by 1. */
    readonly delta?: number;
    /** Change of `delta` for a change of the underlying by 1. */
    readonly gamma?: number;
    /** Change of the price in a day. */
    readonly theta?: number;
    /** Change of the price for a change of the volatility by one percentage point. */
    readonly vega?: number;
    /** Change of the price for a change of the interest rate by one percentage point. */
    readonly rho?: number;
}

/** The names in {@link Greeks}. */
export const GREEKS = ["delta", "gamma", "theta", "vega", "rho"] as const satisfies readonly (keyof Greeks)[];

/** A tick within its frame. */
export interface WireTick extends TickNumbers {
    readonly symbol: string;
    readonly exchange: string;
    /** Time the exchange put on the tick, in milliseconds since 1970 UTC. */
    readonly timestamp: number;
    readonly greeks?: Greeks;
    readonly depth?: Depth;
    readonly bids?: readonly Level[];
    readonly asks?: readonly Level[];
}

/** A tick's frame. What stands beside `data` are copies, which a host may be told to leave out. */
export interface WireMarketData {
    readonly type: "market_data";
    readonly symbol: string;
    readonly exchange: string;
    readonly mode: ModeNumber;
    readonly broker: string;
    readonly topic: string;
    readonly snapshot?: true;
    readonly ltp?: number;
    readonly open?: number;
    readonly high?: number;
    readonly low?: number;
    readonly close?: number;
    readonly volume?: number;
    readonly depth?: Depth;
    readonly timestamp?: string;
    readonly data: WireTick;
}

/** The answer to a key. */
export interface WireAuth {
    readonly type: "auth";
    readonly status: "success";
    readonly message: string;
    readonly broker: string;
    readonly user_id: string;
    readonly supported_features: { readonly ltp: boolean; readonly quote: boolean; readonly depth: boolean };
    readonly feed_status?: true;
    readonly subscription_status?: true;
}

/** The word for clients that wait for it; this one does not. */
export interface WireAuthStatus {
    readonly type: "auth_status";
    readonly status: "authenticated";
    readonly message: string;
    readonly broker: string;
    readonly user_id: string;
}

/** What became of one entry of a request. */
export interface WireEntry {
    readonly symbol: string;
    readonly exchange: string;
    readonly status: "success" | "error";
    readonly mode?: "LTP" | "Quote" | "Depth";
    readonly depth?: number;
    readonly max_rate?: number;
    readonly lossless?: boolean;
    readonly code?: string;
    readonly message?: string;
    readonly broker: string;
}

/** The answer to a subscribe. */
export interface WireSubscribed {
    readonly type: "subscribe";
    readonly status: "success" | "partial";
    readonly subscriptions: readonly WireEntry[];
    readonly message: string;
    readonly broker: string;
    readonly request_id?: unknown;
}

/** The answer to an unsubscribe. */
export interface WireUnsubscribed {
    readonly type: "unsubscribe";
    readonly status: "success" | "partial" | "error";
    readonly message: string;
    readonly successful: readonly WireEntry[];
    readonly failed: readonly WireEntry[];
    readonly broker: string;
    readonly request_id?: unknown;
}

/** What became of a subscription after its acknowledgement. */
export interface WireOutcome {
    readonly symbol: string;
    readonly exchange: string;
    readonly mode: "LTP" | "Quote" | "Depth";
    readonly state: "active" | "silent" | "pending" | "failed";
    readonly code?: string;
    readonly message?: string;
    /** With `failed`: the subscription goes on, and `active` follows when the symbol ticks again. */
    readonly kept?: boolean;
}

/** News of subscriptions, in the form for clients that asked for it and in the one for the others. */
export type WireSubscriptionStatus =
    | {
          readonly type: "subscription_status";
          readonly subscriptions: readonly WireOutcome[];
          readonly broker: string;
          readonly request_id?: unknown;
      }
    | {
          readonly type: "subscription_status";
          readonly symbol: string;
          readonly exchange: string;
          readonly status: "error";
          readonly mode: "LTP" | "Quote" | "Depth";
          readonly code: string;
          readonly message: string;
          readonly broker: string;
          readonly kept?: boolean;
      };

/** The states of a feed. */
export const FEED_STATES = [
    "starting",
    "connecting",
    "live",
    "stale",
    "auth_failed",
    "down",
    "closed",
] as const;

/** How the account's feed is; see PROTOCOL.md for what each means and what helps. */
export type FeedState = (typeof FEED_STATES)[number];

/** News of the feed. */
export interface WireFeedStatus {
    readonly type: "feed_status";
    readonly broker: string;
    readonly state: FeedState;
    readonly message: string;
    readonly state_age_ms?: number;
    readonly last_tick_age_ms?: number;
    readonly retry_in_ms?: number;
    readonly attempts?: number;
    readonly market?: "open" | "pre_open" | "closed";
    readonly opens_in_ms?: number;
}

/** The answer to a ping. */
export interface WirePong {
    readonly type: "pong";
    readonly status: "success";
    readonly server_timestamp: number;
    readonly client_timestamp?: unknown;
    readonly _pingId?: unknown;
}

/** Refusal of a request. It has no type and no request id: it answers the oldest request that is not answered. */
export interface WireError {
    readonly status: "error";
    readonly code: string;
    readonly message: string;
    /** Where the host knows in how many milliseconds a new attempt makes sense. */
    readonly retry_after_ms?: number;
}

/** What the hook reads. Other frames of the host are passed over. */
export type WireMessage =
    | WireMarketData
    | WireAuth
    | WireAuthStatus
    | WireSubscribed
    | WireUnsubscribed
    | WireSubscriptionStatus
    | WireFeedStatus
    | WirePong
    | WireError;

/** An instrument in a request. */
export interface WireInstrument {
    readonly symbol: string;
    readonly exchange: string;
}

/** What the hook says. */
export type WireRequest =
    | {
          readonly action: "authenticate";
          readonly api_key: string;
          readonly feed_status: true;
          readonly subscription_status: true;
      }
    | {
          readonly action: "subscribe" | "unsubscribe";
          readonly symbols: readonly WireInstrument[];
          readonly mode: ModeNumber;
          readonly request_id: number;
      }
    | { readonly action: "ping"; readonly _pingId: number };
