// Fails when a document breaks a rule of AsyncAPI 3, and says where. Newer versions of AsyncAPI are no fault of it.
import { readFileSync } from "node:fs";

import { Parser } from "@asyncapi/parser";

const [path] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"));
const faults = diagnostics.filter(({ code }) => code !== "asyncapi-latest-version");
for (const { path: place, message } of faults) console.error(`${path}: ${place.join(".")}: ${message}`);
if (faults.length > 0 || document?.version() !== "3.0.0") process.exit(1);
console.log(`${path}: ${document.allChannels().length} channels, ${document.allOperations().length} operations, ${document.allMessages().length} messages`);
