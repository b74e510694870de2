import assert from "node:assert/strict";
import { test } from "node:test";
import { Bench } from "../support/fake.ts";
import { sample } from "../support/golden.ts";

const names = (requests: Record<string, unknown>[]): string[][] =>
    requests.map(({ symbols }) => (symbols as { symbol: string }[]).map(({ symbol }) => symbol));

test("requests are those of the host's samples", async () => {
    const bench = new Bench();
    bench.client.hold(
        { changed: () => undefined },
        [
            { symbol: "SBIN", exchange: "NSE" },
            { symbol: "NIFTY", exchange: "NSE_INDEX" },
        ],
        "ltp",
        false,
    );
    await bench.browser.pass(0);
    bench.browser.socket.accept();
    const [authenticate, subscribe] = bench.browser.socket.sent;
    assert.deepEqual(authenticate, {
        ...sample("request_authenticate_feed_status"),
        ...sample("request_authenticate_subscription_status"),
        api_key: "secret-key",
    });
    const { mode, depth, ...list } = sample("request_subscribe_list");
    void depth;
    assert.equal(mode, "LTP");
    assert.deepEqual(subscribe, { ...list, mode: 1, request_id: subscribe?.request_id });
});

test("what comes and goes within one task costs nothing", async () => {
    const bench = new Bench();
    await bench.connected(["SBIN"]);
    for (let time = 0; time < 10; time++) bench.hold(["INFY"]).release();
    const hold = bench.hold(["SBIN"]);
    hold.release();
    await bench.browser.pass(0);
    assert.deepEqual(names(bench.browser.socket.requests("subscribe")), [["SBIN"]]);
    assert.deepEqual(bench.browser.socket.requests("unsubscribe"), []);
});

test("many symbols go in messages of 500, all of one task together", async () => {
    const bench = new Bench();
    const all = Array.from({ length: 1_201 }, (_, at) => `S${at}`);
    for (const symbol of all) bench.hold([symbol]);
    await bench.browser.pass(0);
    bench.browser.socket.accept();
    await bench.browser.pass(0);
    assert.deepEqual(
        names(bench.browser.socket.requests("subscribe")).map((batch) => batch.length),
        [500, 500, 201],
    );
});

test("each viewer is told once for all ticks of a frame, and only of its own", async () => {
    const bench = new Bench();
    await bench.connected(["SBIN"]);
    let others = 0;
    bench.client.hold({ changed: () => void others++ }, [{ exchange: "NSE", symbol: "INFY" }], "ltp", false);
    await bench.browser.pass(0);
    bench.browser.socket.acknowledge();
    await bench.browser.pass(0);
    const [before, othersBefore] = [bench.changes, others];
    for (let price = 1; price <= 100; price++) bench.browser.socket.tick("SBIN", price);
    await bench.browser.pass(0);
    assert.equal(bench.changes, before + 1);
    assert.equal(others, othersBefore);
});

test("a tick that nobody here holds is counted and shown to nobody", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    bench.browser.socket.tick("INFY", 1);
    bench.browser.socket.tick("SBIN", 1, "BSE");
    bench.browser.socket.tick("SBIN", 1, "NSE", 2);
    bench.browser.socket.say("nonsense");
    assert.equal(hold.topics[0]?.value, undefined);
    assert.deepEqual(bench.client.dropped, { ignored: 3, unreadable: 1 });
});

test("a tick before the key was accepted is not taken", async () => {
    const bench = new Bench();
    const hold = bench.hold(["SBIN"]);
    await bench.browser.pass(0);
    bench.browser.socket.onopen?.();
    bench.browser.socket.tick("SBIN", 666);
    assert.equal(hold.topics[0]?.value, undefined);
});

test("values of one user are not shown to the next", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    bench.browser.socket.tick("SBIN", 100);
    bench.browser.socket.drop(1006);
    assert.equal(hold.topics[0]?.value?.ltp, 100, "the last value stays over a loss");
    await bench.browser.pass(1_000);
    bench.browser.socket.accept("bob");
    assert.equal(hold.topics[0]?.value, undefined);
});

test("an error answers the oldest request, and what it refused is asked for again after a while", async () => {
    const bench = new Bench();
    const hold = bench.hold(["SBIN"]);
    const book = bench.hold(["INFY"], "depth");
    await bench.browser.pass(0);
    const { socket } = bench.browser;
    socket.accept();
    socket.say({ status: "error", code: "BROKER_CONNECTION_ERROR", message: "the broker cannot be reached" });
    assert.deepEqual(hold.topics[0]?.state, {
        state: "failed",
        code: "BROKER_CONNECTION_ERROR",
        message: "the broker cannot be reached",
    });
    assert.equal(book.topics[0]?.state.state, "asked");
    await bench.browser.pass(5_000);
    assert.equal(socket.requests("subscribe").length, 3);
    assert.deepEqual(names(socket.requests("subscribe").slice(2)), [["SBIN"]]);
    assert.equal(bench.client.state.phase, "ready");
});

test("what is refused for good is not asked for again, and what is refused for a while ever more rarely", async () => {
    const bench = new Bench();
    bench.hold(["GONE", "FULL"]);
    await bench.browser.pass(0);
    const { socket } = bench.browser;
    socket.accept();
    const refuse = (): void => {
        const { symbols, request_id } = socket.requests("subscribe").at(-1) as {
            symbols: { symbol: string }[];
            request_id: number;
        };
        const subscriptions = symbols.map((symbol) => ({
            ...symbol,
            status: "error",
            code: symbol.symbol === "GONE" ? "SYMBOL_NOT_FOUND" : "MAX_CAPACITY_REACHED",
            message: "no",
            broker: "sim",
        }));
        socket.say({
            type: "subscribe",
            status: "partial",
            subscriptions,
            message: "",
            broker: "sim",
            request_id,
        });
    };
    let asked = 1;
    refuse();
    for (let second = 0; second < 600; second++) {
        await bench.browser.pass(1_000);
        socket.say({ type: "other" });
        const now = socket.requests("subscribe").length;
        if (now > asked) refuse();
        asked = now;
    }
    assert.ok(asked >= 8 && asked <= 20, `asked ${asked} times in ten minutes`);
    assert.ok(
        names(socket.requests("subscribe"))
            .slice(1)
            .every((batch) => batch.join() === "FULL"),
    );
});

test("a subscription that ends later says so, and is asked for again", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    const news = sample("reply_subscription_status");
    bench.browser.socket.say(news);
    assert.equal(hold.topics[0]?.state.state, "accepted", "the news is of another mode");
    bench.browser.socket.say({ ...news, mode: "LTP" });
    assert.deepEqual(hold.topics[0]?.state, {
        state: "failed",
        code: "SUBSCRIPTION_ERROR",
        message: "broker refused",
    });
    await bench.browser.pass(5_000);
    assert.deepEqual(names(bench.browser.socket.requests("subscribe")), [["SBIN"], ["SBIN"]]);
});

test("a subscription that the broker's list lost comes back by itself", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    const lost = { symbol: "SBIN", exchange: "NSE", mode: "LTP", state: "failed", code: "BROKER_ERROR" };
    const say = (outcome: object) =>
        bench.browser.socket.say({
            type: "subscription_status",
            subscriptions: [outcome],
            broker: "sim",
            request_id: 2,
        });
    say({ ...lost, kept: true });
    assert.equal(hold.topics[0]?.state.state, "failed");
    await bench.browser.pass(5_000);
    assert.deepEqual(names(bench.browser.socket.requests("subscribe")), [["SBIN"]], "the host holds it");
    say({ symbol: "SBIN", exchange: "NSE", mode: "LTP", state: "active" });
    assert.equal(hold.topics[0]?.state.state, "active");
});

test("silence after an acknowledgement is told", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    bench.browser.socket.say({
        type: "subscription_status",
        subscriptions: [{ symbol: "SBIN", exchange: "NSE", mode: "LTP", state: "silent" }],
        broker: "sim",
        request_id: 2,
    });
    assert.equal(hold.topics[0]?.state.state, "silent");
    bench.browser.socket.say({
        type: "subscription_status",
        subscriptions: [{ symbol: "SBIN", exchange: "NSE", mode: "LTP", state: "active" }],
        broker: "sim",
        request_id: 2,
    });
    assert.equal(hold.topics[0]?.state.state, "active");
});

test("a symbol that an acknowledgement does not mention has failed", async () => {
    const bench = new Bench();
    const hold = bench.hold(["SBIN", "LOST"]);
    await bench.browser.pass(0);
    const { socket } = bench.browser;
    socket.accept();
    const { request_id } = socket.requests("subscribe")[0] ?? {};
    socket.say({
        type: "subscribe",
        status: "success",
        subscriptions: [{ symbol: "SBIN", exchange: "NSE", status: "success", mode: "LTP", broker: "sim" }],
        message: "",
        broker: "sim",
        request_id,
    });
    assert.deepEqual(
        hold.topics.map(({ state }) => state.state),
        ["accepted", "failed"],
    );
});

test("somebody who wants no symbols hears of the connection and does not keep it", async () => {
    const bench = new Bench();
    const hold = await bench.connected(["SBIN"]);
    let told = 0;
    bench.client.hold({ changed: () => void told++ }, [], "ltp", false);
    bench.browser.socket.drop(1006);
    await bench.browser.pass(1_000);
    bench.browser.socket.accept();
    await bench.browser.pass(0);
    assert.ok(told >= 2, `told ${told} times`);
    hold.release();
    await bench.browser.pass(2_000);
    assert.equal(bench.client.state.phase, "idle");
});
