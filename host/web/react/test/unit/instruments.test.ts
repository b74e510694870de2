import assert from "node:assert/strict";
import { test } from "node:test";
import { instrument, mode, topicKey } from "../../src/instruments.ts";
import { samples } from "../support/golden.ts";

test("instruments are read as the host reads them", () => {
    const cases: [unknown, string, string][] = [
        ["NSE:SBIN", "NSE", "SBIN"],
        ["SBIN", "NSE", "SBIN"],
        ["SBIN:50", "NSE", "SBIN:50"],
        ["NSE:TCS:20", "NSE", "TCS:20"],
        ["NSE_INDEX:NIFTY", "NSE_INDEX", "NIFTY"],
        ["nse:SBIN", "NSE", "nse:SBIN"],
        [{ exchange: "CRYPTO", symbol: "BTC_INR" }, "CRYPTO", "BTC_INR"],
        [{ exchange: " BSE ", symbol: " TCS " }, "BSE", "TCS"],
    ];
    for (const [input, exchange, symbol] of cases)
        assert.deepEqual(instrument(input), { exchange, symbol }, String(input));
    for (const { name, message, expect } of samples("client_to_host")) {
        const entries = expect?.entries as
            { exchange: string; symbol: string; suffix?: number; refused?: string }[] | undefined;
        const symbols = message.symbols as unknown[] | undefined;
        if (!symbols || entries?.length !== symbols.length) continue;
        entries.forEach(({ exchange, symbol, suffix, refused }, at) => {
            // Modes that are wrong are not the instrument's fault.
            if (refused) return;
            const whole = suffix === undefined ? symbol : `${symbol}:${suffix}`;
            assert.deepEqual(instrument(symbols[at]), { exchange, symbol: whole }, name);
        });
    }
});

test("what is no instrument is refused with a reason", () => {
    for (const input of [
        "",
        "NSE:",
        "  ",
        5,
        null,
        undefined,
        {},
        { symbol: "SBIN" },
        { exchange: "", symbol: "SBIN" },
        "A\u0000B",
        "x".repeat(129),
        "é".repeat(65),
        { exchange: "E".repeat(33), symbol: "A" },
    ]) {
        assert.equal(typeof instrument(input), "string", JSON.stringify(input));
    }
});

test("modes are read in any spelling, and others are none", () => {
    for (const input of ["ltp", "LTP", " Ltp ", 1]) assert.equal(mode(input), "ltp");
    for (const input of ["quote", "Quote", "QUOTE", 2]) assert.equal(mode(input), "quote");
    for (const input of ["depth", "Depth", 3]) assert.equal(mode(input), "depth");
    for (const input of [0, 4, 1.5, -1, NaN, "", "full", "length", null, undefined, {}, true])
        assert.equal(mode(input), undefined, String(input));
});

test("no two topics share a key", () => {
    const keys = [
        topicKey("NSE", "SBIN", "ltp"),
        topicKey("BSE", "SBIN", "ltp"),
        topicKey("NSE", "SBIN", "quote"),
        topicKey("NSE_INDEX", "SBIN", "ltp"),
        topicKey("NSE", "INDEX:SBIN", "ltp"),
    ];
    assert.equal(new Set(keys).size, keys.length);
});
