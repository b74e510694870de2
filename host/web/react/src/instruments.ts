// Names of instruments and modes as applications write them.

import { MODES, type Mode, type ModeNumber } from "./protocol.ts";

/**
 * An instrument: `"NSE:SBIN"`, `"SBIN"` for NSE, or its parts. A symbol that ends in `:5`, `:20`, `:30`, `:50` or `:200`
 * asks for that many levels of the book.
 */
export type SymbolInput = string | { readonly exchange: string; readonly symbol: string };

/** A mode by name in any of the usual spellings, or by number. */
export type ModeInput = Mode | "LTP" | "Quote" | "Depth" | "QUOTE" | "DEPTH" | ModeNumber;

/** An instrument, read. */
export interface Instrument {
    readonly exchange: string;
    readonly symbol: string;
}

/** Exchanges that may stand before the colon; what precedes any other colon is part of the symbol. */
const EXCHANGES = new Set(
    "NSE NFO CDS BSE BFO BCD MCX NCDEX NCO NSE_INDEX BSE_INDEX MCX_INDEX GLOBAL_INDEX CRYPTO".split(" "),
);

/** Longest names that the host takes, in bytes. */
const LONGEST_SYMBOL = 128;
const LONGEST_EXCHANGE = 32;

const bytes = (text: string): number => new TextEncoder().encode(text).length;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Reads an instrument, or says what is wrong with it. */
export function instrument(input: unknown): Instrument | string {
    let exchange: unknown;
    let symbol: unknown;
    if (typeof input === "string") {
        const colon = input.indexOf(":");
        const left = input.slice(0, Math.max(colon, 0)).trim();
        [exchange, symbol] = EXCHANGES.has(left) ? [left, input.slice(colon + 1)] : ["NSE", input];
    } else if (typeof input === "object" && input !== null) {
        ({ exchange, symbol } = input as { exchange?: unknown; symbol?: unknown });
    }
    if (typeof exchange !== "string" || typeof symbol !== "string")
        return "a symbol must be text, or an object with exchange and symbol";
    exchange = exchange.trim();
    symbol = symbol.trim();
    if (!exchange || !symbol) return "a symbol lacks its name or its exchange";
    if (bytes(exchange as string) > LONGEST_EXCHANGE || bytes(symbol as string) > LONGEST_SYMBOL)
        return "the name of a symbol is too long";
    if (CONTROL.test(`${exchange as string}${symbol as string}`))
        return "the name of a symbol holds control characters";
    return { exchange: exchange as string, symbol: symbol as string };
}

/** Reads a mode. */
export function mode(input: unknown): Mode | undefined {
    if (typeof input === "number") return MODES[input];
    const name = typeof input === "string" ? input.trim().toLowerCase() : "";
    return MODES.find((known) => known === name);
}

/** What `data` of the hook is keyed by: `"NSE:SBIN"`. */
export function symbolKey({ exchange, symbol }: Instrument): string {
    return `${exchange}:${symbol}`;
}

/** What a subscription is known by. An exchange has no colon that the host would take, and a mode none at all. */
export function topicKey(exchange: string, symbol: string, mode: Mode): string {
    return `${mode}\n${exchange}\n${symbol}`;
}
