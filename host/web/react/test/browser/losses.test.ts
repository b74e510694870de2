import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
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

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`after a restart of the host everything is asked for again (${signal})`, async () => {
        await tab.mount("one", { symbols: ["NSE:SBIN", "NSE:INFY"], mode: "quote", options });
        await tab.mount("two", { symbols: ["NSE:SBIN"], mode: "depth", options });
        await tab.sees("one", "it has prices", ({ data }) => Object.keys(data).length === 2);
        const book = await tab.sees("two", "it has a book", ({ data }) => data["NSE:SBIN"]?.depth);

        await host.stop(signal);
        const lost = await tab.sees("one", "the loss is told", ({ phase }) => phase === "waiting");
        assert.equal(lost.isConnected, false);
        assert.equal(lost.feed, null);
        assert.equal(lost.error?.code, "CONNECTION_LOST");
        assert.equal(lost.error?.isRetrying, true);
        assert.equal(Object.keys(lost.data).length, 2, "the last values stay");
        assert.deepEqual(lost.stale.sort(), ["NSE:INFY", "NSE:SBIN"], "and are marked");
        await until("it tried again in vain", () => tab.sockets.length > 1);

        await host.start();
        const again = await tab.sees(
            "one",
            "both are fresh again",
            ({ data, isStale, isAuthenticated }) =>
                isAuthenticated && !isStale && Object.keys(data).length === 2,
        );
        assert.equal(again.error, null);
        await tab.sees(
            "two",
            "the book goes on",
            ({ data, isStale }) =>
                !isStale && data["NSE:SBIN"]?.timestamp !== book.data["NSE:SBIN"]?.timestamp,
        );
        const socket = tab.open[0];
        assert.equal(tab.open.length, 1);
        assert.equal(
            socket?.sent.filter(({ action }) => action === "subscribe").length,
            2,
            "one message for each mode",
        );
        // Attempts while the host was away were spaced: the pauses double from at most half a second.
        assert.ok(tab.sockets.length <= 12, `${tab.sockets.length} sockets`);
    });
}

test("what changes while the host is away is asked for as it is then", async () => {
    await tab.mount("watch", { symbols: ["NSE:SBIN", "NSE:INFY"], mode: "ltp", options });
    await tab.sees("watch", "it has prices", ({ data }) => Object.keys(data).length === 2);
    await host.stop();
    await tab.sees("watch", "the loss is told", ({ phase }) => phase === "waiting");
    await tab.mount("watch", { symbols: ["NSE:INFY", "NSE:TCS"], mode: "ltp", options });
    await host.start();
    await tab.sees(
        "watch",
        "the new one has a price",
        ({ data, isStale }) => data["NSE:TCS"] && data["NSE:INFY"] && !isStale,
    );
    const asked = tab.open[0]?.sent.filter(
        ({ action }) => action === "subscribe" || action === "unsubscribe",
    );
    assert.deepEqual(
        asked?.map(({ action, symbols }) => [
            action,
            (symbols as { symbol: string }[]).map(({ symbol }) => symbol).sort(),
        ]),
        [["subscribe", ["INFY", "TCS"]]],
    );
    await until("the host has two instruments", async () => (await host.instruments()) === 2);
});

test("a hidden page rests, and is up to date with a snapshot when it is looked at again", async () => {
    await tab.mount("watch", { symbols: ["NSE:SBIN", "NSE:INFY"], mode: "quote", options });
    await tab.sees("watch", "it has prices", ({ data }) => Object.keys(data).length === 2);
    // Somebody else keeps the feed up, so that the host has values to repeat.
    const other = await stage.open();
    await other.mount("other", {
        symbols: ["NSE:SBIN", "NSE:INFY"],
        mode: "quote",
        options: { ...options, pauseWhenHidden: false },
    });
    await other.sees("other", "it has prices", ({ data }) => Object.keys(data).length === 2);
    const together = await host.sessions();

    await tab.setHidden(true);
    const resting = await tab.sees("watch", "it rests", ({ isPaused }) => isPaused);
    assert.equal(resting.error, null);
    assert.equal(resting.isStale, true);
    await until("the host is told", async () => (await host.sessions()) === together - 1);
    await quiet(1_000);
    assert.equal(tab.open.length, 0);
    assert.equal(tab.sockets.length, 1);

    await tab.setHidden(false);
    const back = await tab.sees("watch", "it goes on", ({ isStale, isPaused }) => !isPaused && !isStale);
    assert.equal(Object.keys(back.data).length, 2);
    const first = tab.open[0]?.received.find(({ type }) => type === "market_data");
    assert.equal(first?.snapshot, true);
    await other.close();
});

test("a page that is hidden for a moment, or is to go on, keeps its socket", async () => {
    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "ltp", options });
    await tab.sees("watch", "it has a price", ({ data }) => data["NSE:SBIN"]);
    await tab.setHidden(true);
    await tab.setHidden(false);
    await tab.mount("alert", {
        symbols: ["NSE:INFY"],
        mode: "ltp",
        options: { ...options, pauseWhenHidden: false },
    });
    await tab.sees("alert", "it has a price", ({ data }) => data["NSE:INFY"]);
    await tab.setHidden(true);
    await quiet(5_000);
    assert.equal(tab.sockets.length, 1);
    assert.equal(tab.open.length, 1);
    assert.equal((await tab.see("watch"))?.isPaused, false);
    await tab.unmount("alert");
    await tab.sees("watch", "nobody keeps it any more", ({ isPaused }) => isPaused);
    await tab.setHidden(false);
    await tab.sees("watch", "it goes on", ({ isStale, isPaused }) => !isPaused && !isStale);
});

test("a wrong key is an error, and is tried once", async () => {
    await tab.mount("watch", {
        symbols: ["NSE:SBIN"],
        mode: "ltp",
        options: { ...options, apiKey: "th_wrong" },
    });
    const seen = await tab.sees("watch", "the key is refused", ({ phase }) => phase === "failed");
    assert.deepEqual(seen.error, {
        code: "AUTHENTICATION_ERROR",
        message: "Invalid API key",
        isRetrying: false,
    });
    assert.equal(seen.isAuthenticated, false);
    await tab.renderAgain();
    await quiet(3_000);
    assert.equal(tab.sockets.length, 1);
    assert.equal(tab.requests("authenticate").length, 1);
    await until("the socket is closed", () => tab.open.length === 0);

    await tab.reconnect("watch");
    await until("who asks for it gets another try", () => tab.sockets.length === 2);
    await tab.sees("watch", "which fails too", ({ phase }) => phase === "failed");
    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "ltp", options });
    const good = await tab.sees("watch", "the right key works", ({ data }) => data["NSE:SBIN"]);
    assert.equal(good.error, null);
});

test("two keys are two sockets, and neither sees the other's state", async () => {
    await tab.mount("right", { symbols: ["NSE:SBIN"], mode: "ltp", options });
    await tab.mount("wrong", {
        symbols: ["NSE:SBIN"],
        mode: "ltp",
        options: { ...options, apiKey: "th_wrong" },
    });
    await tab.sees("wrong", "its key is refused", ({ phase }) => phase === "failed");
    const right = await tab.sees("right", "its key works", ({ data }) => data["NSE:SBIN"]);
    assert.equal(right.error, null);
    assert.deepEqual((await tab.see("wrong"))?.data, {});
    assert.equal(tab.sockets.length, 2);
});

test("an address where nobody listens is tried with growing pauses, and one that is none not at all", async () => {
    await tab.mount("nobody", {
        symbols: ["NSE:SBIN"],
        mode: "ltp",
        options: { url: "ws://127.0.0.1:9", apiKey: "k" },
    });
    await tab.mount("nonsense", {
        symbols: ["NSE:SBIN"],
        mode: "ltp",
        options: { url: "http://127.0.0.1:9", apiKey: "k" },
    });
    const seen = await tab.sees("nonsense", "the address is refused", ({ phase }) => phase === "failed");
    assert.equal(seen.error?.code, "CONFIGURATION_ERROR");
    await quiet(4_000);
    assert.ok(tab.sockets.length >= 2 && tab.sockets.length <= 10, `${tab.sockets.length} attempts in 4 s`);
    assert.equal((await tab.see("nobody"))?.error?.code, "CONNECTION_LOST");
});
