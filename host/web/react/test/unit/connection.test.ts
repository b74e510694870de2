import assert from "node:assert/strict";
import { test } from "node:test";
import { Bench } from "../support/fake.ts";
import { sample } from "../support/golden.ts";

const names = (requests: Record<string, unknown>[]): string[][] =>
    requests.map(({ symbols }) => (symbols as { symbol: string }[]).map(({ symbol }) => symbol));

test("nothing is connected before something is wanted, and nothing stays when nothing is", async () => {
    const { browser, client, ...bench } = new Bench();
    void bench;
    await browser.pass(60_000);
    assert.equal(browser.sockets.length, 0);
    assert.equal(browser.isWatched, false);
    const hold = client.hold(
        { changed: () => undefined },
        [{ exchange: "NSE", symbol: "SBIN" }],
        "ltp",
        false,
    );
    await browser.pass(0);
    browser.socket.accept();
    hold.release();
    hold.release();
    await browser.pass(1_999);
    assert.equal(browser.socket.isClosed, false, "a moment is waited for the next page");
    await browser.pass(1);
    assert.equal(browser.socket.isClosed, true);
    assert.equal(client.state.phase, "idle");
    assert.equal(browser.isWatched, false);
    assert.equal(browser.timers, 0, "no timer is left");
});

test("a user without a broker keeps the connection, and the key is sent again", async () => {
    const bench = new Bench();
    bench.hold(["SBIN"]);
    await bench.browser.pass(0);
    const { socket } = bench.browser;
    socket.onopen?.();
    socket.say({ status: "error", code: "BROKER_ERROR", message: "No broker account" });
    assert.deepEqual(bench.client.state.error, {
        code: "BROKER_ERROR",
        message: "No broker account",
        isRetrying: true,
    });
    assert.equal(bench.client.state.phase, "authenticating");
    await bench.browser.pass(5_000);
    assert.equal(socket.requests("authenticate").length, 2);
    socket.accept();
    assert.equal(bench.client.state.error, null);
    assert.equal(bench.browser.sockets.length, 1);
});

test("nothing is sent on a socket that is closing, and the next one asks for it", async () => {
    const bench = new Bench();
    await bench.connected(["SBIN"]);
    const { socket } = bench.browser;
    const sent = socket.sent.length;
    // The host has said goodbye, and the browser has not told the page yet.
    socket.readyState = 2;
    bench.hold(["TCS"]);
    await bench.browser.pass(1_000);
    assert.equal(socket.sent.length, sent);
    socket.drop(1001);
    await bench.browser.pass(60_000);
    bench.browser.socket.accept();
    await bench.browser.pass(1_000);
    assert.deepEqual(names(bench.browser.socket.requests("subscribe")).flat().sort(), ["SBIN", "TCS"]);
});

test("a host that falls silent is asked for a sign of life, and left when it gives none", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    bench.browser.socket.tick("SBIN", 1);
    for (let minute = 0; minute < 3; minute++) {
        await bench.browser.pass(25_000);
        assert.equal(bench.browser.socket.requests("ping").length, minute + 1);
        bench.browser.socket.say({ type: "pong", status: "success", server_timestamp: 1 });
    }
    assert.equal(bench.browser.sockets.length, 1);
    assert.equal(bench.client.isStale(hold.topics[0] as (typeof hold.topics)[0]), false);
    await bench.browser.pass(55_000);
    assert.equal(bench.browser.sockets.length, 2);
    assert.equal(bench.browser.sockets[0]?.isClosed, true);
    assert.equal(bench.client.state.error?.message, "the host does not answer any more");
});

test("a socket that never opens is given up", async () => {
    const bench = new Bench();
    bench.hold(["SBIN"]);
    await bench.browser.pass(24_000);
    assert.equal(bench.browser.sockets.length, 1);
    await bench.browser.pass(2_000);
    assert.equal(bench.browser.sockets.length, 2);
});

test("an unanswered subscribe does not stay a success", async () => {
    const bench = new Bench();
    bench.hold(["SBIN"]);
    await bench.browser.pass(0);
    const { socket } = bench.browser;
    socket.accept();
    for (let second = 0; second < 26; second++) {
        await bench.browser.pass(1_000);
        if (!socket.isClosed) socket.say({ type: "feed_status", broker: "sim", state: "live", message: "" });
    }
    assert.equal(socket.isClosed, true);
    assert.equal(bench.browser.sockets.length, 2);
});

test("pauses double until a connection holds, and follow the close code", async () => {
    const bench = new Bench();
    bench.browser.chance = 0.999;
    bench.hold(["SBIN"]);
    await bench.browser.pass(0);
    const pauses: number[] = [];
    for (let time = 0; time < 9; time++) {
        bench.browser.socket.drop(1006);
        pauses.push((bench.client.state.retryAt ?? 0) - bench.browser.now());
        await bench.browser.pass(pauses.at(-1) ?? 0);
    }
    assert.deepEqual(pauses, [500, 999, 1_998, 3_996, 7_992, 15_984, 29_970, 29_970, 29_970]);
    // A connection that is accepted and ends at once is no success.
    bench.browser.socket.accept();
    bench.browser.socket.drop(1006);
    assert.equal((bench.client.state.retryAt ?? 0) - bench.browser.now(), 29_970);
    await bench.browser.pass(29_970);
    bench.browser.socket.accept();
    bench.browser.socket.acknowledge();
    await bench.browser.pass(10_000);
    bench.browser.socket.tick("SBIN", 1);
    await bench.browser.pass(20_000);
    bench.browser.socket.drop(1013, "too many connections");
    assert.equal((bench.client.state.retryAt ?? 0) - bench.browser.now(), 15_500);
    await bench.browser.pass(15_500);
    bench.browser.socket.drop(1002, "websocket protocol error");
    assert.equal(bench.client.state.phase, "failed");
    await bench.browser.pass(3_600_000);
    assert.equal(bench.client.state.phase, "failed");
});

test("the network's return shortens a pause, but not one that the host asked for", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    void hold;
    for (let time = 0; time < 8; time++) {
        bench.browser.socket.drop(1006);
        await bench.browser.pass(30_000);
    }
    bench.browser.socket.drop(1006);
    const sockets = bench.browser.sockets.length;
    bench.browser.happen("online");
    await bench.browser.pass(600);
    assert.equal(bench.browser.sockets.length, sockets + 1);
    bench.browser.socket.drop(4431, "too many connections from this address");
    bench.browser.happen("online");
    await bench.browser.pass(14_000);
    assert.equal(bench.browser.sockets.length, sockets + 1);
});

test("a page that is put away holds no socket, and connects when it is brought back", async () => {
    const bench = new Bench();
    await bench.connected(["SBIN"]);
    bench.browser.happen("away");
    assert.equal(bench.browser.socket.isClosed, true);
    assert.equal(bench.client.state.phase, "paused");
    await bench.browser.pass(600_000);
    assert.equal(bench.browser.sockets.length, 1);
    bench.browser.happen("back");
    await bench.browser.pass(0);
    assert.equal(bench.browser.sockets.length, 2);
});

test("what changes while the page rests is asked for when it goes on, and nothing before", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    bench.browser.hidden = true;
    bench.browser.happen("visibility");
    await bench.browser.pass(2_999);
    assert.equal(bench.client.state.phase, "ready");
    await bench.browser.pass(1);
    assert.equal(bench.client.state.phase, "paused");
    hold.release();
    bench.hold(["INFY"]);
    await bench.browser.pass(60_000);
    assert.equal(bench.browser.sockets.length, 1);
    bench.browser.hidden = false;
    bench.browser.happen("visibility");
    await bench.browser.pass(0);
    bench.browser.socket.accept();
    assert.deepEqual(names(bench.browser.socket.requests("subscribe")), [["INFY"]]);
});

test("neither state nor errors ever hold the key", async () => {
    const bench = new Bench();
    bench.hold(["SBIN"]);
    await bench.browser.pass(0);
    const states: unknown[] = [bench.client.state];
    bench.browser.socket.onopen?.();
    bench.browser.socket.say({ status: "error", code: "AUTHENTICATION_ERROR", message: "Invalid API key" });
    states.push(bench.client.state);
    assert.ok(!JSON.stringify(states).includes("secret-key"));
    assert.equal(bench.client.state.phase, "failed");
});

test("values are stale from a loss until each has ticked again", async () => {
    const bench = new Bench();
    const { topics } = await bench.connected(["SBIN", "INFY"]);
    const stale = (): boolean[] => topics.map((topic) => bench.client.isStale(topic));
    bench.browser.socket.tick("SBIN", 1);
    bench.browser.socket.tick("INFY", 1);
    assert.deepEqual(stale(), [false, false]);
    bench.browser.socket.drop(1006);
    assert.deepEqual(stale(), [true, true]);
    await bench.browser.pass(1_000);
    bench.browser.socket.accept();
    bench.browser.socket.acknowledge();
    assert.deepEqual(stale(), [true, true], "a connection alone says nothing of prices");
    bench.browser.socket.tick("INFY", 2);
    assert.deepEqual(stale(), [true, false]);
    bench.browser.socket.say(sample("reply_feed_status"));
    assert.deepEqual(stale(), [true, true], "the broker's feed is silent");
    bench.browser.socket.say(sample("reply_feed_status_night"));
    assert.deepEqual(stale(), [true, false], "silence at night is none");
});

test("a key that was refused is not sent again by whatever mounts next", async () => {
    const bench = new Bench();
    const hold = bench.hold(["SBIN"]);
    await bench.browser.pass(0);
    bench.browser.socket.accept();
    bench.browser.socket.drop(4403, "api key revoked");
    assert.equal(bench.client.state.phase, "failed");
    hold.release();
    await bench.browser.pass(10_000);
    assert.equal(bench.client.state.phase, "idle");
    bench.hold(["INFY"]);
    await bench.browser.pass(10_000);
    assert.equal(bench.client.state.phase, "failed");
    assert.match(bench.client.state.error?.message ?? "", /api key revoked/);
    assert.equal(bench.browser.sockets.length, 1);
    bench.client.reconnect();
    await bench.browser.pass(0);
    assert.equal(bench.browser.sockets.length, 2);
});

test("a page that is put away while it is hidden and brought back at once stays up", async () => {
    const bench = new Bench();
    await bench.connected(["SBIN"]);
    bench.browser.hidden = true;
    bench.browser.happen("visibility");
    await bench.browser.pass(1_000);
    bench.browser.happen("away");
    bench.browser.hidden = false;
    bench.browser.happen("back");
    await bench.browser.pass(0);
    bench.browser.socket.accept();
    await bench.browser.pass(10_000);
    assert.equal(bench.client.state.phase, "ready");
});

test("an acknowledgement without a number is that of the oldest subscribe", async () => {
    const bench = new Bench();
    const [first, second] = [bench.hold(["SBIN"]), bench.hold(["INFY"], "depth")];
    await bench.browser.pass(0);
    bench.browser.socket.accept();
    const { request_id, ...answer } = sample("reply_subscribe_success");
    void request_id;
    bench.browser.socket.say({
        ...answer,
        subscriptions: [{ symbol: "SBIN", exchange: "NSE", status: "success", mode: "LTP", broker: "sim" }],
    });
    assert.equal(first.topics[0]?.state.state, "accepted");
    assert.equal(second.topics[0]?.state.state, "asked");
    bench.browser.socket.say({ ...answer, subscriptions: [], request_id: 999 });
    assert.equal(second.topics[0]?.state.state, "asked", "nobody asked with this number");
});
