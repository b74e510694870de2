// Where to connect, and with which key.

import type { Environment } from "./environment.ts";
import { Refusal, describe } from "./errors.ts";

/** What a connection needs. */
export interface Credentials {
    readonly url: string;
    readonly key: string;
}

/** Where credentials come from. Two components whose sources have the same `id` share one socket. */
export interface Source {
    readonly id: string;
    /** Whether asking again gives the same, so that a key that was refused once is refused for good. */
    readonly isFixed: boolean;
    resolve(environment: Environment): Promise<Credentials>;
}

/** How an application says where to connect. Either `url` and `apiKey`, or what is needed to ask for them. */
export interface SourceOptions {
    /** The host's WebSocket, such as `ws://127.0.0.1:8765`. Without it the page asks for it. */
    readonly url?: string | undefined;
    /** The API key. Without it the page asks for it. */
    readonly apiKey?: string | undefined;
    /** What precedes `/api/websocket/config` and `/api/websocket/apikey`; by default the page's own origin. */
    readonly baseUrl?: string | undefined;
    /** Sent as `Authorization: Bearer` with these two requests. */
    readonly token?: string | undefined;
}

/** Longest wait for each of the two answers. */
const ANSWER_MS = 10_000;

/** The source that the options name. */
export function source({ url, apiKey, baseUrl = "", token = "" }: SourceOptions): Source {
    const base = baseUrl.replace(/\/+$/, "");
    const isFixed = url !== undefined && apiKey !== undefined;
    return {
        id: JSON.stringify(isFixed ? [url, apiKey] : [url, apiKey, base, token]),
        isFixed,
        async resolve(environment) {
            const ask = (what: string, names: string[]): Promise<string> =>
                member(environment, `${base}/api/websocket/${what}`, token, names);
            const [foundUrl, key] = await Promise.all([
                url ?? ask("config", ["websocket_url", "url"]),
                apiKey ?? ask("apikey", ["api_key", "apiKey", "apikey"]),
            ]);
            if (!/^wss?:\/\//.test(foundUrl))
                throw new Refusal("the address of the host must begin with ws:// or wss://");
            if (!key) throw new Refusal("the API key is empty");
            return { url: foundUrl, key };
        },
    };
}

async function member(
    environment: Environment,
    url: string,
    token: string,
    names: string[],
): Promise<string> {
    const stop = new AbortController();
    const timer = environment.after(ANSWER_MS, () => stop.abort());
    const path = url.slice(url.lastIndexOf("/api/"));
    try {
        const answer = await environment.fetch(url, {
            headers: { Accept: "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
            credentials: "same-origin",
            cache: "no-store",
            signal: stop.signal,
        });
        const body = (await answer.json().catch(() => undefined)) as
            Record<string, unknown> | null | undefined;
        if (!answer.ok) {
            const why = typeof body?.message === "string" ? `: ${body.message.slice(0, 200)}` : "";
            throw new Refusal(`${path} answered ${answer.status}${why}`);
        }
        for (const name of names) {
            const value = body?.[name];
            if (typeof value === "string" && value) return value;
        }
        throw new Refusal(`${path} answered without ${names[0]}`);
    } catch (failure) {
        if (failure instanceof Refusal) throw failure;
        throw new Refusal(`${path} could not be asked (${describe(failure)})`);
    } finally {
        environment.cancel(timer);
    }
}
