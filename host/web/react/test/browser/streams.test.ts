import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Harness } from "./app.tsx";
import { Host } from "../support/host.ts";
import { Stage, type Tab } from "../support/page.ts";
import { quiet, until } from "../support/until.ts";

let host: Host;
let stage: Stage;
let tab: Tab;
let options: { url: string; apiKey: string };

before(async () => {
    [host, stage] = await Promise.all([Host.start(), Stage.start()]);
    options = { url: host.url, apiKey: host.key };
});
after(async () => {
    await stage?.end();
    await host?.end();
});
beforeEach(async () => {
    tab = await stage.open();
});
afterEach(async () => {
    assert.deepEqual(tab.complaints, [], "the page has nothing to complain of");
    await tab.close();
});

test("ticks reach the screen, and each price is that of its own instrument", async () => {
    await tab.mount("watch", {
        symbols: ["NSE:SBIN", "BSE:SBIN", "NSE_INDEX:NIFTY", "CRYPTO:BTC_INR"],
        mode: "ltp",
        options,
    });
    const first = await tab.sees(
        "watch",
        "all four have a price",
        ({ data }) => Object.keys(data).length === 4,
    );
    const price = first.data["NSE:SBIN"]?.ltp;
    const later = await tab.sees(
        "watch",
        "the price has moved",
        ({ data, subscriptions }) =>
            data["NSE:SBIN"]?.ltp !== price &&
            Object.values(subscriptions).every(({ state }) => state === "active"),
    );
    assert.ok(later.isConnected && later.isAuthenticated);
    assert.equal(later.error, null);
    assert.equal(later.isStale, false);
    assert.equal(later.feed?.state, "live");
    assert.match((await tab.price("watch", "NSE:SBIN")) ?? "", /^\d+(\.\d+)?$/);

    const shown = await tab.shown();
    const sent = new Set(
        tab.sockets[0]?.received
            .filter(({ type }) => type === "market_data")
            .map(
                ({ exchange, symbol, mode, data }) =>
                    `${exchange as string}:${symbol as string} ${mode as number} ${(data as { ltp: number }).ltp}`,
            ),
    );
    assert.ok(shown.length > 8, `${shown.length} prices were shown`);
    assert.equal(new Set(shown.map(([, key]) => key)).size, 4);
    for (const [, key, mode, ltp] of shown) {
        assert.equal(mode, "ltp");
        assert.ok(sent.has(`${key} 1 ${ltp}`), `${key} ${ltp} was never sent`);
    }
});

test("two components share one socket and one subscription, and the last to leave ends both", async () => {
    await tab.mount("one", { symbols: ["NSE:SBIN", "NSE:INFY"], mode: "quote", options });
    await tab.mount("two", { symbols: ["NSE:SBIN", "NSE:TCS"], mode: "quote", options });
    await tab.sees("one", "one has prices", ({ data }) => data["NSE:SBIN"] && data["NSE:INFY"]);
    await tab.sees("two", "two has prices", ({ data }) => data["NSE:SBIN"] && data["NSE:TCS"]);
    assert.equal(tab.sockets.length, 1);
    assert.equal(tab.requests("authenticate").length, 1);
    assert.deepEqual(tab.asked("subscribe").sort(), ["NSE:INFY/2", "NSE:SBIN/2", "NSE:TCS/2"]);
    await until("the host has three instruments", async () => (await host.instruments()) === 3);

    await tab.unmount("one");
    await until("what only it wanted is ended", () => tab.asked("unsubscribe").length > 0);
    assert.deepEqual(tab.asked("unsubscribe"), ["NSE:INFY/2"]);
    const before = (await tab.see("two"))?.data["NSE:SBIN"]?.timestamp as number;
    await tab.sees(
        "two",
        "the other goes on",
        ({ data }) => (data["NSE:SBIN"]?.timestamp as number) > before,
    );

    await tab.unmount("two");
    await until("everything is ended", () => tab.asked("unsubscribe").length === 3);
    await until("the host has none", async () => (await host.instruments()) === 0);
    await until("the socket is closed", () => tab.open.length === 0);
    assert.equal(tab.sockets.length, 1);
});

test("rendering again with new lists and objects sends nothing and keeps the values", async () => {
    await tab.mount("watch", { symbols: ["NSE:SBIN", "NSE:INFY"], mode: "ltp", options });
    await tab.sees("watch", "both have prices", ({ data }) => Object.keys(data).length === 2);
    await tab.sees("watch", "both are active", ({ subscriptions }) =>
        Object.values(subscriptions).every(({ state }) => state === "active"),
    );
    const isSame = await tab.page.evaluate(async () => {
        const { harness } = window as unknown as { harness: Harness };
        const before = harness.results.watch?.subscriptions;
        const renders = harness.renders.watch ?? 0;
        harness.renderAgain();
        while ((harness.renders.watch ?? 0) === renders) await new Promise(requestAnimationFrame);
        return before !== undefined && harness.results.watch?.subscriptions === before;
    });
    assert.ok(isSame, "what has not changed is the same object");
    for (let time = 0; time < 20; time++) await tab.renderAgain();
    const price = (await tab.see("watch"))?.data["NSE:SBIN"]?.timestamp as number;
    await tab.sees("watch", "ticks go on", ({ data }) => (data["NSE:SBIN"]?.timestamp as number) > price);
    assert.equal(tab.sockets.length, 1);
    assert.deepEqual(tab.asked("subscribe").sort(), ["NSE:INFY/1", "NSE:SBIN/1"]);
    assert.deepEqual(tab.asked("unsubscribe"), []);
});

test("a list that changes costs the difference only, and a mode is a subscription of its own", async () => {
    await tab.mount("watch", { symbols: ["NSE:SBIN", "NSE:INFY"], mode: "ltp", options });
    await tab.sees("watch", "both have prices", ({ data }) => Object.keys(data).length === 2);
    await tab.mount("watch", { symbols: ["NSE:TCS", "NSE:SBIN"], mode: "ltp", options });
    const next = await tab.sees("watch", "the new one has a price", ({ data }) => data["NSE:TCS"]);
    assert.deepEqual(Object.keys(next.data).sort(), ["NSE:SBIN", "NSE:TCS"]);
    await until("the old one is ended", () => tab.asked("unsubscribe").length === 1);
    assert.deepEqual(tab.asked("subscribe").slice(2), ["NSE:TCS/1"]);
    assert.deepEqual(tab.asked("unsubscribe"), ["NSE:INFY/1"]);

    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "quote", options });
    const quote = await tab.sees(
        "watch",
        "the quote is there",
        ({ data }) => data["NSE:SBIN"]?.open !== undefined,
    );
    assert.equal(quote.data["NSE:SBIN"]?.mode, "quote");
    await until("the prices alone are ended", () => tab.asked("unsubscribe").length === 3);
    assert.equal(tab.sockets.length, 1);
});

test("depth has a book, with as many levels as the symbol asks for", async () => {
    await tab.mount("book", { symbols: ["NSE:SBIN", "NSE:RELIANCE:20"], mode: "depth", options });
    type Book = { buy: { price: number; quantity: number; orders: number }[]; sell: { price: number }[] };
    const seen = await tab.sees(
        "book",
        "both have books",
        ({ data }) => data["NSE:SBIN"]?.depth && data["NSE:RELIANCE:20"]?.depth,
    );
    const five = seen.data["NSE:SBIN"]?.depth as Book;
    const twenty = seen.data["NSE:RELIANCE:20"]?.depth as Book;
    assert.deepEqual(
        [five.buy.length, five.sell.length, twenty.buy.length, twenty.sell.length],
        [5, 5, 20, 20],
    );
    for (const { buy, sell } of [five, twenty]) {
        assert.ok((buy[0]?.price ?? 0) < (sell[0]?.price ?? 0), "the best bid is below the best offer");
        assert.deepEqual(
            buy.map(({ price }) => price),
            buy.map(({ price }) => price).sort((a, b) => b - a),
            "best first",
        );
    }
});

test("a symbol that does not exist fails alone", async () => {
    await tab.mount("watch", { symbols: ["NSE:BAD1", "NSE:SBIN"], mode: "ltp", options });
    const seen = await tab.sees(
        "watch",
        "one ticks and one is refused",
        ({ data, subscriptions }) => data["NSE:SBIN"] && subscriptions["NSE:BAD1"]?.state === "failed",
    );
    assert.equal(seen.subscriptions["NSE:BAD1"]?.code, "SYMBOL_NOT_FOUND");
    assert.equal(seen.error, null);
    assert.equal(seen.data["NSE:BAD1"], undefined);
});

test("what cannot be asked is said without asking", async () => {
    await tab.mount("mode", { symbols: ["NSE:SBIN"], mode: "full" as "quote", options });
    await tab.mount("symbol", { symbols: ["NSE:", "NSE:SBIN"], mode: "ltp", options });
    await tab.mount("none", { symbols: [], mode: "ltp", options });
    await tab.mount("off", { symbols: ["NSE:INFY"], mode: "ltp", options: { ...options, enabled: false } });
    const good = await tab.sees("symbol", "the good symbol ticks", ({ data }) => data["NSE:SBIN"]);
    assert.equal(good.error?.code, "INVALID_PARAMETERS");
    assert.equal((await tab.see("mode"))?.error?.code, "INVALID_MODE");
    assert.equal((await tab.see("none"))?.error, null);
    assert.deepEqual(tab.asked("subscribe"), ["NSE:SBIN/1"]);
});

test("a row is rendered for its own symbol only", async () => {
    await tab.mount("rows", {
        symbols: ["NSE:SBIN", "NSE:INFY", "NSE:BAD1"],
        mode: "ltp",
        isPerSymbol: true,
        options,
    });
    await until("both rows were rendered often", async () => {
        const renders = await tab.renders();
        return (renders["rows NSE:SBIN"] ?? 0) > 10 && (renders["rows NSE:INFY"] ?? 0) > 10;
    });
    // Twice each for the first render, the one after the effects, and none for any tick of the others.
    const idle = (await tab.renders())["rows NSE:BAD1"] ?? 0;
    assert.ok(idle <= 4, `the row without ticks was rendered ${idle} times`);
    assert.equal(tab.sockets.length, 1);
});

test("a thousand symbols are asked for in few messages and rendered with few renders", async () => {
    const symbols = (await equities()).slice(0, 1_000);
    await tab.mount("wall", { symbols: symbols.map((symbol) => `NSE:${symbol}`), mode: "ltp", options });
    await tab.sees("wall", "all have prices", ({ data }) => Object.keys(data).length === 1_000);
    assert.equal(tab.requests("subscribe").length, 2);
    const [renders, received] = [(await tab.renders()).wall ?? 0, tab.sockets[0]?.received.length ?? 0];
    const began = Date.now();
    await quiet(2_000);
    const seconds = (Date.now() - began) / 1_000;
    const more = ((await tab.renders()).wall ?? 0) - renders;
    const ticks = (tab.sockets[0]?.received.length ?? 0) - received;
    // StrictMode renders twice for each painted frame.
    assert.ok(more <= 2 * 62 * seconds, `${more} renders in ${seconds} s`);
    assert.ok(ticks > 5 * more, `${ticks} ticks for ${more} renders`);
});

async function equities(): Promise<string[]> {
    const { readFile } = await import("node:fs/promises");
    const text = await readFile(`${PACKAGE}../../../adapters/sim/src/universe/equities.txt`, "utf8");
    return text
        .split("\n")
        .filter((line) => !line.startsWith("#"))
        .flatMap((line) => line.split(/\s+/))
        .map((word) => word.split("=")[0] ?? "")
        .filter((word) => word !== "");
}
