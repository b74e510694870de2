import assert from "node:assert/strict";
import { test } from "node:test";
import { View } from "../../src/view.ts";
import { Bench } from "../support/fake.ts";
import { sample } from "../support/golden.ts";

const INSTRUMENTS = [
    { exchange: "NSE", symbol: "SBIN" },
    { exchange: "NSE", symbol: "INFY" },
];

async function watched() {
    const bench = new Bench();
    const view = new View(bench.client, {
        instruments: INSTRUMENTS,
        mode: "ltp",
        isKeptAlive: false,
        error: null,
    });
    let told = 0;
    const stop = view.subscribe(() => void told++);
    await bench.browser.pass(0);
    bench.browser.socket.accept();
    bench.browser.socket.acknowledge();
    bench.browser.socket.tick("SBIN", 1);
    bench.browser.socket.tick("INFY", 2);
    await bench.browser.pass(0);
    return { bench, view, stop, told: () => told };
}

test("each part keeps its identity until it changes", async () => {
    const { bench, view } = await watched();
    const first = view.result();
    assert.equal(view.result(), first);
    bench.browser.socket.tick("SBIN", 3);
    assert.equal(view.result(), first, "nothing changes between two frames");
    await bench.browser.pass(0);
    const second = view.result();
    assert.notEqual(second, first);
    assert.notEqual(second.data, first.data);
    assert.equal(first.data.get("NSE:SBIN")?.ltp, 1, "what was given is not changed");
    assert.equal(second.data.get("NSE:SBIN")?.ltp, 3);
    assert.equal(second.data.get("NSE:INFY"), first.data.get("NSE:INFY"));
    assert.equal(second.subscriptions, first.subscriptions);
    assert.equal(second.reconnect, first.reconnect);
    bench.browser.socket.say(sample("reply_feed_status"));
    await bench.browser.pass(0);
    const third = view.result();
    assert.equal(third.data, second.data, "news of the feed is none of the prices");
    assert.deepEqual([...third.stale], ["NSE:SBIN", "NSE:INFY"]);
    bench.browser.socket.tick("INFY", 4);
    await bench.browser.pass(0);
    assert.equal(view.result().stale, third.stale);
});

test("nobody is told when nothing that they see has changed", async () => {
    const { view, told } = await watched();
    const before = told();
    const result = view.result();
    view.changed();
    assert.equal(told(), before);
    assert.equal(view.result(), result);
});

test("who comes later sees at once what is known, and who left is told nothing", async () => {
    const { bench, stop, told } = await watched();
    const later = new View(bench.client, {
        instruments: INSTRUMENTS.slice(1),
        mode: "ltp",
        isKeptAlive: false,
        error: null,
    });
    assert.equal(later.result().data.get("NSE:INFY")?.ltp, 2);
    assert.equal(later.first()?.ltp, 2);
    stop();
    const before = told();
    bench.browser.socket.tick("INFY", 5);
    await bench.browser.pass(0);
    assert.equal(told(), before);
});
