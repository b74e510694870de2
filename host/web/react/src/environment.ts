// What the client takes from the browser, in one place so that tests can give it something else.

/** A timer. */
export type Timer = ReturnType<typeof setTimeout>;

/** Clock, timers, chance, sockets, and the page. */
export interface Environment {
    /** Milliseconds since 1970 UTC. */
    now(): number;
    /** From 0 to below 1. */
    random(): number;
    after(ms: number, run: () => void): Timer;
    cancel(timer: Timer | undefined): void;
    /** Runs before the next frame is painted, or within 100 ms where none is. */
    onFrame(run: () => void): void;
    open(url: string): WebSocket;
    fetch(url: string, init: RequestInit): Promise<Response>;
    isHidden(): boolean;
    /** Tells of the page: hidden or shown, put away or brought back, and the network's return. */
    watch(event: (what: "visibility" | "away" | "back" | "online") => void): () => void;
}

/** The browser's own. On a server there is no page, and nothing is ever connected. */
export const browser: Environment = {
    now: () => Date.now(),
    random: () => Math.random(),
    after: (ms, run) => setTimeout(run, ms),
    cancel: (timer) => clearTimeout(timer),
    onFrame(run) {
        let ran = false;
        const once = (): void => {
            if (ran) return;
            ran = true;
            clearTimeout(timer);
            run();
        };
        // No frame is painted for a window that is covered or a tab that is hidden.
        const timer = setTimeout(once, 100);
        if (typeof requestAnimationFrame === "function") requestAnimationFrame(once);
    },
    open: (url) => new WebSocket(url),
    fetch: (url, init) => fetch(url, init),
    isHidden: () => typeof document !== "undefined" && document.visibilityState === "hidden",
    watch(event) {
        if (typeof document === "undefined") return () => undefined;
        const stop = new AbortController();
        const { signal } = stop;
        document.addEventListener("visibilitychange", () => event("visibility"), { signal });
        // A page in the back-forward cache must hold no socket.
        addEventListener("pagehide", () => event("away"), { signal });
        addEventListener("pageshow", () => event("back"), { signal });
        addEventListener("online", () => event("online"), { signal });
        return () => stop.abort();
    },
};
