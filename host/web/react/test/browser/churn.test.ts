import assert from "node:assert/strict";
import { test } from "node:test";
import { Host } from "../support/host.ts";
import { Stage } from "../support/page.ts";
import { until } from "../support/until.ts";

/** Chance that repeats (mulberry32). */
function dice(seed: number): () => number {
    return () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

test("whatever comes, goes, hides and restarts, in the end the host has what is wanted and nothing else", async () => {
    const host = await Host.start("rate_hz = 20.0\n", { TICKHOST_FEED_LINGER_SECONDS: "1" });
    const stage = await Stage.start();
    try {
        const tab = await stage.open();
        const options = { url: host.url, apiKey: host.key };
        const roll = dice(20_261_126);
        const below = (limit: number): number => Math.floor(roll() * limit);
        const names = ["SBIN", "INFY", "TCS", "RELIANCE", "ITC", "HDFCBANK", "ICICIBANK", "BHARTIARTL"];
        const modes = ["ltp", "quote", "depth"] as const;
        const wanted = new Map<string, { symbols: string[]; mode: (typeof modes)[number] }>();
        let isHidden = false;
        for (let step = 0; step < 150; step++) {
            const what = roll();
            const id = `c${below(6)}`;
            if (what < 0.6) {
                const symbols = names.filter(() => roll() < 0.4).map((name) => `NSE:${name}`);
                const spec = { symbols, mode: modes[below(3)] ?? "ltp" };
                wanted.set(id, spec);
                await tab.mount(id, { ...spec, options });
            } else if (what < 0.88) {
                wanted.delete(id);
                await tab.unmount(id);
            } else if (what < 0.94) {
                isHidden = !isHidden;
                await tab.setHidden(isHidden);
            } else if (what < 0.97) {
                await host.stop(roll() < 0.5 ? "SIGTERM" : "SIGKILL");
                await host.start();
            } else {
                const first = [...wanted.keys()][0];
                if (first !== undefined) await tab.reconnect(first);
            }
        }
        await tab.setHidden(false);
        const last = { symbols: ["NSE:SBIN", "NSE:INFY"], mode: "depth" as const };
        wanted.set("c0", last);
        await tab.mount("c0", { ...last, options });

        for (const [id, { symbols, mode }] of wanted) {
            const seen = await tab.sees(
                id,
                `${id} has all of its symbols, fresh`,
                ({ data, isStale, error }) =>
                    !isStale && error === null && Object.keys(data).length === symbols.length,
            );
            assert.deepEqual(Object.keys(seen.data).sort(), [...symbols].sort());
            for (const [key, tick] of Object.entries(seen.data)) {
                assert.equal(`${tick.exchange as string}:${tick.symbol as string}`, key);
                assert.equal(tick.mode, mode);
            }
        }
        const held = new Set([...wanted.values()].flatMap(({ symbols }) => symbols)).size;
        await until(`the host has ${held} instruments`, async () => (await host.instruments()) === held);
        assert.equal(await host.sessions(), 1);
        assert.equal(tab.open.length, 1);

        // What the socket was asked for, less what was ended, is what is wanted.
        const streams = new Set<string>();
        for (const { action, symbols, mode } of tab.open[0]?.sent ?? []) {
            for (const { exchange, symbol } of (symbols ?? []) as { exchange: string; symbol: string }[]) {
                const stream = `${exchange}:${symbol}/${mode as number}`;
                if (action === "subscribe") {
                    assert.ok(!streams.has(stream), `${stream} is asked for once`);
                    streams.add(stream);
                } else {
                    assert.ok(streams.delete(stream), `${stream} was asked for before it is ended`);
                }
            }
        }
        const expected = new Set(
            [...wanted.values()].flatMap(({ symbols, mode }) =>
                symbols.map((symbol) => `${symbol}/${modes.indexOf(mode) + 1}`),
            ),
        );
        assert.deepEqual([...streams].sort(), [...expected].sort());

        for (const id of wanted.keys()) await tab.unmount(id);
        await until("the host has nothing", async () => (await host.instruments()) === 0);
        await until("the socket is closed", () => tab.open.length === 0);
        assert.deepEqual(tab.complaints, []);
    } finally {
        await stage.end();
        await host.end();
    }
});
