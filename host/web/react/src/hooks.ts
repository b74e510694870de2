// The hooks: thin, so that whatever is right or wrong about a stream is right or wrong in the client.

import { useMemo, useSyncExternalStore } from "react";
import type { MarketDataClient } from "./client.ts";
import type { SourceOptions } from "./credentials.ts";
import {
    instrument,
    mode as readMode,
    symbolKey,
    type Instrument,
    type ModeInput,
    type SymbolInput,
} from "./instruments.ts";
import type { MarketData } from "./parse.ts";
import { sharedClient } from "./shared.ts";
import { View, type MarketDataResult, type Wish } from "./view.ts";

/** Options of the hooks. They are compared by value: an object made again with each render costs nothing. */
export interface MarketDataOptions extends SourceOptions {
    /** Whether anything is wanted at all; true by default. */
    readonly enabled?: boolean;
    /** Whether the stream rests while the page is hidden; true by default. */
    readonly pauseWhenHidden?: boolean;
}

const NONE: readonly SymbolInput[] = [];

/**
 * Live market data of some symbols. All components of a page share one socket for each host and key, and one subscription
 * for each symbol and mode. The component is rendered again when something that it is given changes, at most once for each
 * frame that is painted.
 *
 * @param symbols `["NSE:SBIN", "INFY"]`; a new list with the same symbols changes nothing.
 * @param mode `"ltp"`, `"quote"` or `"depth"`.
 */
export function useMarketData(
    symbols: readonly SymbolInput[],
    mode: ModeInput = "quote",
    options: MarketDataOptions = {},
): MarketDataResult {
    const view = useView(symbols, mode, options);
    return useSyncExternalStore(view.subscribe, view.result, view.result);
}

/**
 * The newest values of one symbol, for the rows of a table: the component is rendered again only when this symbol ticks.
 * What else there is to know is in {@link useMarketData}, which the table can call for all of them.
 */
export function useTick(
    symbol: SymbolInput,
    mode: ModeInput = "quote",
    options: MarketDataOptions = {},
): MarketData | undefined {
    const view = useView([symbol], mode, options);
    return useSyncExternalStore(view.subscribe, view.first, view.first);
}

function useView(symbols: readonly SymbolInput[], mode: ModeInput, options: MarketDataOptions): View {
    const { url, apiKey, baseUrl, token, enabled = true, pauseWhenHidden = true } = options;
    const client = useMemo(
        () => sharedClient({ url, apiKey, baseUrl, token }),
        [url, apiKey, baseUrl, token],
    );
    const wanted = enabled ? symbols : NONE;
    const said = JSON.stringify([wanted, mode]);
    return useMemo(
        () => new View(client satisfies MarketDataClient, wish(wanted, mode, !pauseWhenHidden)),
        // The text stands for the symbols and the mode, whose identity says nothing.
        [client, said, pauseWhenHidden],
    );
}

function wish(symbols: readonly SymbolInput[], mode: ModeInput, isKeptAlive: boolean): Wish {
    const read = readMode(mode);
    const instruments = new Map<string, Instrument>();
    let wrong: string | undefined;
    for (const symbol of symbols) {
        const known = instrument(symbol);
        if (typeof known === "string") wrong ??= known;
        else instruments.set(symbolKey(known), known);
    }
    const error = !read
        ? { code: "INVALID_MODE", message: "the mode is none of ltp, quote and depth", isRetrying: false }
        : wrong !== undefined
          ? { code: "INVALID_PARAMETERS", message: wrong, isRetrying: false }
          : null;
    return { instruments: read ? [...instruments.values()] : [], mode: read ?? "quote", isKeptAlive, error };
}
