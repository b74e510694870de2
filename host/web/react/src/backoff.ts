// When to connect again.

/** What a lost connection calls for. */
export type Verdict = "soon" | "seconds" | "later" | "never";

/** Longest random part of a pause. */
const CAP_MS = 30_000;
const FIRST_MS = 500;

/** Shortest pause of each verdict. */
const FLOOR_MS = { soon: 0, seconds: 2_000, later: 15_000 } as const;

/** What the close codes of PROTOCOL.md ask of a client. */
const VERDICTS: Readonly<Record<number, Verdict>> = {
    1001: "seconds",
    1002: "never",
    1007: "never",
    1009: "never",
    1013: "later",
    // The key is sent as soon as the socket opens, so this is a machine that slept or a host that is overloaded.
    4401: "later",
    4403: "never",
    4429: "seconds",
    4431: "later",
    4432: "later",
};

/** What to do after a close with this code. 1011 is sent with two reasons, of which one has time. */
export function verdict(code: number, reason: string): Verdict {
    if (code === 1011) return reason === "ping timeout" ? "soon" : "seconds";
    return VERDICTS[code] ?? "soon";
}

/**
 * The pause before an attempt, in milliseconds: the floor of the verdict and a random part that doubles with each attempt
 * that failed (`attempts` from 0), so that a restart of the host is not followed by all pages at once.
 */
export function pause(verdict: Exclude<Verdict, "never">, attempts: number, random: () => number): number {
    const ceiling = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(attempts, 16));
    return Math.round(FLOOR_MS[verdict] + random() * ceiling);
}
