import assert from "node:assert/strict";
import { test } from "node:test";
import { renderToString } from "react-dom/server";
import { useMarketData, useTick } from "../../src/index.ts";

test("a server renders without data, and connects nothing", () => {
    const opened: string[] = [];
    const before = globalThis.WebSocket;
    globalThis.WebSocket = class {
        constructor(url: string) {
            opened.push(url);
        }
    } as unknown as typeof WebSocket;
    try {
        const Watch = () => {
            const { data, phase, isStale, error } = useMarketData(["NSE:SBIN"], "ltp", {
                url: "ws://host",
                apiKey: "k",
            });
            const tick = useTick("NSE:SBIN", "ltp");
            return (
                <p>{`${data.size} ${phase} ${isStale} ${error?.code ?? "fine"} ${tick?.ltp ?? "none"}`}</p>
            );
        };
        assert.equal(renderToString(<Watch />), "<p>0 idle false fine none</p>");
        assert.deepEqual(opened, []);
    } finally {
        globalThis.WebSocket = before;
    }
});
