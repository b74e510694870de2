import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { pause, verdict } from "../../src/backoff.ts";

test("pauses grow, are random, and end at their cap", () => {
    assert.equal(
        pause("soon", 0, () => 0),
        0,
    );
    assert.equal(
        pause("soon", 0, () => 0.5),
        250,
    );
    assert.equal(
        pause("soon", 3, () => 0.5),
        2_000,
    );
    assert.equal(
        pause("soon", 1_000_000, () => 0.999),
        29_970,
    );
    assert.equal(
        pause("seconds", 0, () => 0),
        2_000,
    );
    assert.equal(
        pause("later", 0, () => 0),
        15_000,
    );
});

test("the close codes of the host's document are followed", () => {
    const document = readFileSync(`${PACKAGE}../../PROTOCOL.md`, "utf8");
    const table = document.slice(document.indexOf("## Close codes"), document.indexOf("## Limits"));
    const rows = [...table.matchAll(/^\| (\d{4}) \| `(.*?)` \| (.*?) \|$/gm)];
    assert.ok(rows.length >= 14, `${rows.length} codes`);
    for (const [, code, reason = "", advice = ""] of rows) {
        const expected = advice.startsWith("no:")
            ? "never"
            : advice.startsWith("later")
              ? "later"
              : advice.startsWith("after some seconds")
                ? "seconds"
                : "soon";
        // See the table in backoff.ts for why a page that was too late with its key may come back.
        if (code === "4401") continue;
        assert.equal(verdict(Number(code), reason), expected, `${code} ${reason}`);
    }
});
