// Writes the host's samples of frames as TypeScript, so that the type check reads them: a member that the types of
// src/protocol.ts do not know, or know otherwise, stops it.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const samples = fileURLToPath(new URL("../../../testdata/protocol/", import.meta.url));
const out = fileURLToPath(new URL("../dist/golden/", import.meta.url));

/** Frames that the hook passes over, because it never asks for them. */
const passedOver = new Set([
    "order_update",
    "orders_missed",
    "gap",
    "broker_info",
    "supported_brokers",
    "subscribe_orders",
    "unsubscribe_orders",
    "unsubscribe_all",
]);

const lines = ['import type { WireMessage } from "../../src/protocol.ts";', ""];
let count = 0;
for (const file of readdirSync(samples).sort()) {
    const { name, direction, message } = JSON.parse(readFileSync(`${samples}${file}`, "utf8"));
    if (direction !== "host_to_client" || passedOver.has(message.type)) continue;
    lines.push(`export const ${name}: WireMessage = ${JSON.stringify(message)};`);
    count++;
}
if (count < 20) throw new Error(`only ${count} samples found in ${samples}`);
mkdirSync(out, { recursive: true });
writeFileSync(`${out}samples.ts`, `${lines.join("\n")}\n`);
