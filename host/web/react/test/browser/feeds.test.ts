import assert from "node:assert/strict";
import { test } from "node:test";
import { Host } from "../support/host.ts";
import { Stage } from "../support/page.ts";

test("a feed that falls silent makes the values stale, and its return makes them fresh", async () => {
    const host = await Host.start("rate_hz = 20.0\nfaults = { mute_after_ms = 1500 }\n", {
        WS_STALE_TICK_WARN_SECONDS: "1",
    });
    const stage = await Stage.start();
    try {
        const tab = await stage.open();
        await tab.mount("watch", {
            symbols: ["NSE:SBIN"],
            mode: "ltp",
            options: { url: host.url, apiKey: host.key },
        });
        await tab.sees("watch", "it is fresh", ({ data, isStale }) => data["NSE:SBIN"] && !isStale);
        const stale = await tab.sees("watch", "it is stale", ({ isStale }) => isStale);
        assert.equal(stale.isAuthenticated, true, "the page's own connection is up");
        assert.notEqual(stale.feed?.state, "live");
        assert.deepEqual(stale.stale, ["NSE:SBIN"]);
        assert.ok(stale.data["NSE:SBIN"]?.ltp, "the last price stays");
        await tab.sees(
            "watch",
            "the host has reconnected",
            ({ isStale, feed }) => !isStale && feed?.state === "live",
        );
        assert.equal(tab.sockets.length, 1);
    } finally {
        await stage.end();
        await host.end();
    }
});

test("a log-in that the broker refuses is told, and ends by itself when it works", async () => {
    const host = await Host.start("rate_hz = 20.0\nfaults = { auth_failure = 1, connect_delay_ms = 500 }\n");
    const stage = await Stage.start();
    try {
        const tab = await stage.open();
        await tab.mount("watch", {
            symbols: ["NSE:SBIN"],
            mode: "ltp",
            options: { url: host.url, apiKey: host.key },
        });
        const waiting = await tab.sees(
            "watch",
            "the feed is not there yet",
            ({ isAuthenticated, feed }) => isAuthenticated && feed !== null && feed.state !== "live",
        );
        assert.deepEqual(waiting.data, {});
        await tab.sees(
            "watch",
            "it ticks",
            ({ data, feed, isStale }) => data["NSE:SBIN"] && feed?.state === "live" && !isStale,
        );
    } finally {
        await stage.end();
        await host.end();
    }
});
