// The host's samples of frames.

import { readFileSync, readdirSync } from "node:fs";

/** One sample. */
export interface Sample {
    readonly name: string;
    readonly direction: "host_to_client" | "client_to_host";
    readonly message: Record<string, unknown>;
    readonly expect?: Record<string, unknown>;
}

const FOLDER = `${PACKAGE}../../testdata/protocol/`;

/** All samples that go one way. */
export function samples(direction: Sample["direction"]): Sample[] {
    return readdirSync(FOLDER)
        .sort()
        .map((file) => JSON.parse(readFileSync(`${FOLDER}${file}`, "utf8")) as Sample)
        .filter((sample) => sample.direction === direction);
}

/** The sample of this name. */
export function sample(name: string): Record<string, unknown> {
    return (JSON.parse(readFileSync(`${FOLDER}${name}.json`, "utf8")) as Sample).message;
}
