import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Host } from "../support/host.ts";
import { Stage, type Tab } from "../support/page.ts";
import { until } from "../support/until.ts";

let host: Host;
let stage: Stage;
let tab: Tab;

before(async () => {
    [host, stage] = await Promise.all([Host.start(), Stage.start()]);
});
after(async () => {
    await stage?.end();
    await host?.end();
});
beforeEach(async () => {
    // In the form of OpenAlgo's endpoints.
    stage.endpoints.config = {
        status: 200,
        body: { status: "success", websocket_url: host.url, is_secure: false, original_url: host.url },
    };
    stage.endpoints.apikey = { status: 200, body: { status: "success", api_key: host.key } };
    stage.endpoints.asked.length = 0;
    tab = await stage.open();
});
afterEach(async () => {
    assert.deepEqual(tab.complaints, [], "the page has nothing to complain of");
    await tab.close();
});

test("the page asks where to connect and with which key, once for all components", async () => {
    await tab.mount("one", { symbols: ["NSE:SBIN"], mode: "ltp", options: { token: "console-token" } });
    await tab.mount("two", { symbols: ["NSE:INFY"], mode: "ltp", options: { token: "console-token" } });
    await tab.sees("one", "it has a price", ({ data }) => data["NSE:SBIN"]);
    await tab.sees("two", "it has a price", ({ data }) => data["NSE:INFY"]);
    assert.equal(tab.sockets.length, 1);
    assert.deepEqual(
        stage.endpoints.asked.map(({ path, authorization }) => `${path} ${authorization ?? ""}`).sort(),
        ["/api/websocket/apikey Bearer console-token", "/api/websocket/config Bearer console-token"],
    );
});

test("one of the two may be given", async () => {
    stage.endpoints.config = { status: 500, body: {} };
    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "ltp", options: { url: host.url } });
    await tab.sees("watch", "it has a price", ({ data }) => data["NSE:SBIN"]);
    assert.deepEqual(
        stage.endpoints.asked.map(({ path }) => path),
        ["/api/websocket/apikey"],
    );
});

test("an endpoint that refuses is an error in its own words, and is asked again", async () => {
    stage.endpoints.apikey = {
        status: 401,
        body: { status: "error", message: "Session not found - please refresh page" },
    };
    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "ltp" });
    const seen = await tab.sees("watch", "the refusal is told", ({ error }) => error);
    assert.equal(seen.error?.code, "CONFIGURATION_ERROR");
    assert.equal(
        seen.error?.message,
        "/api/websocket/apikey answered 401: Session not found - please refresh page",
    );
    assert.equal(seen.error?.isRetrying, true);
    assert.equal(tab.sockets.length, 0);
    stage.endpoints.apikey = { status: 200, body: { status: "success", api_key: host.key } };
    const good = await tab.sees("watch", "after the log-in it works", ({ data }) => data["NSE:SBIN"]);
    assert.equal(good.error, null);
    assert.ok(stage.endpoints.asked.length <= 8, `asked ${stage.endpoints.asked.length} times`);
});

test("answers that are not as they should be are errors", async () => {
    const cases: [object, RegExp][] = [
        [{ status: "success" }, /answered without websocket_url/],
        [{ websocket_url: "javascript:alert(1)" }, /must begin with ws/],
        [{ websocket_url: 5, url: null }, /answered without websocket_url/],
    ];
    for (const [at, [body, message]] of cases.entries()) {
        stage.endpoints.config = { status: 200, body };
        await tab.mount("watch", {
            symbols: ["NSE:SBIN"],
            mode: "ltp",
            options: { baseUrl: `${new URL(tab.page.url()).origin}${"/".repeat(at)}` },
        });
        await tab.sees("watch", `the answer is refused: ${String(message)}`, ({ error }) =>
            message.test(error?.message ?? ""),
        );
    }
    assert.equal(tab.sockets.length, 0);
});

test("a key that is replaced while the page is open is followed without a hand", async () => {
    const old = (await host.run("key", "create", "demo")).trim();
    stage.endpoints.apikey = { status: 200, body: { status: "success", api_key: old } };
    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "ltp" });
    const first = await tab.sees("watch", "the first key works", ({ data }) => data["NSE:SBIN"]);

    // The identity of a key is its middle part.
    const replacement = (await host.run("key", "rotate", old.split("_")[1] ?? "")).trim();
    stage.endpoints.apikey = { status: 200, body: { status: "success", api_key: replacement } };
    const told = await tab.sees("watch", "the revocation is told", ({ error }) =>
        error?.message.includes("api key revoked"),
    );
    assert.equal(told.isStale, true);
    const next = await tab.sees(
        "watch",
        "the next key works",
        ({ data, isStale }) => !isStale && data["NSE:SBIN"]?.timestamp !== first.data["NSE:SBIN"]?.timestamp,
    );
    assert.equal(next.error, null);
    assert.equal(tab.sockets.length, 2);
});

test("a key that stays wrong is not sent again and again", async () => {
    stage.endpoints.apikey = { status: 200, body: { status: "success", api_key: "th_wrong" } };
    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "ltp" });
    await tab.sees("watch", "the key is refused", ({ error }) => error?.code === "AUTHENTICATION_ERROR");
    // It asks whether there is another one after some seconds, and then waits for long.
    const seen = await tab.sees(
        "watch",
        "it waits for another key",
        ({ phase, retryAt }) => phase === "waiting" && (retryAt ?? 0) > Date.now() + 10_000,
    );
    assert.deepEqual(seen.error, {
        code: "AUTHENTICATION_ERROR",
        message: "Invalid API key",
        isRetrying: true,
    });
    assert.equal(tab.sockets.length, 1);
    assert.equal(tab.requests("authenticate").length, 1);
    await until(
        "it was asked twice",
        () => stage.endpoints.asked.filter(({ path }) => path.endsWith("apikey")).length === 2,
    );
});

test("no key ever stands in what a component is given", async () => {
    await tab.mount("watch", { symbols: ["NSE:SBIN"], mode: "ltp" });
    const seen = await tab.sees("watch", "it has a price", ({ data }) => data["NSE:SBIN"]);
    assert.ok(!JSON.stringify(seen).includes(host.key));
});
