// Waiting for conditions, so that no test is lucky.

/** Longest wait of a test for anything. */
export const SOON_MS = 30_000;

/** Waits until `look` gives something true, and gives it. What it last gave is told when that takes too long. */
export async function until<T>(
    what: string,
    look: () => T | Promise<T>,
    longest = SOON_MS,
): Promise<NonNullable<T>> {
    const deadline = Date.now() + longest;
    for (;;) {
        const found = await look();
        if (found) return found;
        if (Date.now() > deadline)
            throw new Error(`waited in vain until ${what}; last seen: ${JSON.stringify(found)}`);
        await new Promise((resume) => setTimeout(resume, 20));
    }
}

/** Lets time pass in which something must not happen. */
export const quiet = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));
