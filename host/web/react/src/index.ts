// Live market data of a Tickhost in React.

export { useMarketData, useTick, type MarketDataOptions } from "./hooks.ts";
export type { MarketDataResult } from "./view.ts";
export type { Phase } from "./client.ts";
export type { MarketDataError } from "./errors.ts";
export type { SymbolInput, ModeInput } from "./instruments.ts";
export type { FeedStatus, MarketData } from "./parse.ts";
export type { Depth, FeedState, Greeks, Level, Mode, TickNumbers } from "./protocol.ts";
export type { SubscriptionState } from "./topics.ts";
