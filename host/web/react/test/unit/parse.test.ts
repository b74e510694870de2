import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../../src/parse.ts";
import { TICK_NUMBERS } from "../../src/protocol.ts";
import { sample, samples } from "../support/golden.ts";

const NOW = 1_705_294_800_500;
const read = (message: unknown) => parse(JSON.stringify(message), NOW);

test("every sample of the host is read as what it is", () => {
    const kinds: Record<string, string> = {
        market_data: "tick",
        auth: "auth",
        auth_status: "other",
        subscribe: "subscribed",
        unsubscribe: "unsubscribed",
        subscription_status: "news",
        feed_status: "feed",
        pong: "pong",
    };
    const all = samples("host_to_client");
    assert.ok(all.length > 30, `${all.length} samples`);
    for (const { name, message } of all) {
        const expected = message.type === undefined ? "error" : (kinds[message.type as string] ?? "other");
        assert.equal(read(message)?.kind, expected, name);
    }
});

test("no value of a tick is lost", () => {
    for (const { name, message } of samples("host_to_client")) {
        if (message.type !== "market_data") continue;
        const frame = read(message);
        assert.ok(frame?.kind === "tick", name);
        const data = message.data as Record<string, unknown>;
        for (const [member, value] of Object.entries(data)) {
            // The two sides of the book are repeated under these names.
            if (member === "bids" || member === "asks") continue;
            assert.deepEqual(
                (frame.tick as unknown as Record<string, unknown>)[member],
                value,
                `${name}: ${member}`,
            );
        }
        assert.equal(frame.tick.isSnapshot, message.snapshot === true, name);
    }
    const full = sample("frame_quote_full").data as Record<string, unknown>;
    const missing = TICK_NUMBERS.filter((name) => !(name in full));
    assert.deepEqual(missing, [], "the sample with every value has all that the types name");
});

test("what the broker does not send is absent", () => {
    const frame = read(sample("frame_ltp_bare"));
    assert.ok(frame?.kind === "tick");
    assert.deepEqual(frame.tick, {
        symbol: "SBIN",
        exchange: "NSE",
        mode: "ltp",
        broker: "zerodha",
        ltp: 625.5,
        timestamp: 1_705_294_800_123,
        isSnapshot: false,
    });
});

test("a tick whose names differ inside and outside is shown to nobody", () => {
    const frame = sample("frame_ltp");
    const data = frame.data as object;
    assert.equal(read({ ...frame, data: { ...data, symbol: "INFY" } }), undefined);
    assert.equal(read({ ...frame, data: { ...data, exchange: "BSE" } }), undefined);
    assert.equal(read({ ...frame, symbol: "INFY" }), undefined);
});

test("hostile frames are none", () => {
    const quote = sample("frame_quote");
    const data = quote.data as object;
    for (const raw of [
        "",
        "nonsense",
        "[]",
        "null",
        "1",
        '"text"',
        "{",
        '{"type":"market_data"}',
        new ArrayBuffer(3),
        null,
        "x".repeat(5 << 20),
    ]) {
        assert.equal(parse(raw, NOW), undefined, String(raw).slice(0, 40));
    }
    for (const mode of [0, 4, -1, 1.5, "2", "length", null, [1], undefined])
        assert.equal(read({ ...quote, mode }), undefined, String(mode));
    for (const changed of [{ symbol: 5 }, { timestamp: "now" }, { timestamp: null }]) {
        assert.equal(read({ ...quote, ...changed, data: { ...data, ...changed } }), undefined);
    }
    assert.equal(read({ type: "feed_status", state: "excellent" }), undefined);
    assert.equal(read({ type: "auth", status: "maybe" }), undefined);
});

test("a member that cannot be read costs itself only", () => {
    const quote = sample("frame_quote");
    const frame = read({ ...quote, data: { ...(quote.data as object), volume: "1500000", oi: null } });
    assert.ok(frame?.kind === "tick");
    assert.equal(frame.tick.volume, undefined);
    assert.equal("oi" in frame.tick, false);
    assert.equal(frame.tick.ltp, 625.5);
});

test("greeks are read one by one, and volatility stands beside them", () => {
    const frame = sample("frame_quote_greeks");
    const whole = read(frame);
    assert.ok(whole?.kind === "tick");
    assert.deepEqual(whole.tick.greeks, {
        delta: 0.5234,
        gamma: 0.0012,
        theta: -11.84,
        vega: 13.225,
        rho: 3.01,
    });
    assert.equal(whole.tick.implied_volatility, 14.5);
    const data = { ...(frame.data as object), greeks: { delta: "0.5", gamma: 0.1, color: 3 } };
    const part = read({ ...frame, data });
    assert.ok(part?.kind === "tick");
    assert.deepEqual(part.tick.greeks, { gamma: 0.1 });
    const none = read({ ...frame, data: { ...data, greeks: [1] } });
    assert.ok(none?.kind === "tick");
    assert.equal("greeks" in none.tick, false);
});

test("a book with an unreadable level is left out as a whole", () => {
    const frame = sample("frame_depth");
    const data = frame.data as { depth: { buy: object[]; sell: object[] } };
    const depth = { ...data.depth, buy: [...data.depth.buy, { price: "low", quantity: 1 }] };
    const read_ = read({ ...frame, data: { ...data, depth } });
    assert.ok(read_?.kind === "tick");
    assert.equal(read_.tick.depth, undefined);
    assert.equal(read_.tick.ltp, 625.5);
});

test("a subscription that goes on although it failed says so in both forms", () => {
    for (const name of ["reply_subscription_status_asked", "reply_subscription_status_kept"]) {
        const frame = read(sample(name));
        assert.ok(frame?.kind === "news");
        const kept = frame.outcomes.filter((outcome) => outcome.isKept);
        assert.deepEqual(
            kept.map(({ state, code }) => [state, code]),
            [["failed", "SYMBOL_NOT_FOUND"]],
        );
    }
});

test("both forms of a subscription's fate are read, and unknown states are passed over", () => {
    const late = read(sample("reply_subscription_status"));
    assert.ok(late?.kind === "news");
    assert.deepEqual(late.outcomes, [
        {
            symbol: "SBIN",
            exchange: "NSE",
            mode: "quote",
            state: "failed",
            code: "SUBSCRIPTION_ERROR",
            message: "broker refused",
        },
    ]);
    const asked = read(sample("reply_subscription_status_asked"));
    assert.ok(asked?.kind === "news");
    assert.deepEqual(
        asked.outcomes.map(({ symbol, state }) => [symbol, state]),
        [
            ["SBIN", "active"],
            ["IDLE", "silent"],
            ["WAIT", "pending"],
            ["GONE", "failed"],
            ["LOST", "failed"],
        ],
    );
    const odd = read({
        type: "subscription_status",
        subscriptions: [{ symbol: "A", exchange: "NSE", state: "dancing" }, 5],
    });
    assert.ok(odd?.kind === "news");
    assert.deepEqual(odd.outcomes, []);
});

test("the feed's ages count from the receipt", () => {
    const frame = read(sample("reply_feed_status_down"));
    assert.ok(frame?.kind === "feed");
    assert.deepEqual(frame.feed, {
        broker: "zerodha",
        state: "down",
        message: "the adapter failed and will be started again: crashed",
        receivedAt: NOW,
        stateAgeMs: 0,
        lastTickAgeMs: 1_500,
        retryInMs: 87,
        attempts: 3,
    });
});
