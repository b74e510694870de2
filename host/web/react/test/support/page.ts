// Chromium with the application under test, and what goes over its sockets.

import chromium from "@sparticuz/chromium";
import { build } from "esbuild";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import puppeteer, { type Browser, type CDPSession, type Page } from "puppeteer-core";
import type { Harness, Spec } from "../browser/app.tsx";
import { until } from "./until.ts";

/** A socket of the page. */
export interface Socket {
    readonly url: string;
    readonly sent: Record<string, unknown>[];
    readonly received: Record<string, unknown>[];
    isClosed: boolean;
}

/** The two endpoints as the page's server answers them. */
export interface Endpoints {
    config: { status: number; body: object };
    apikey: { status: number; body: object };
    readonly asked: { path: string; authorization: string | undefined }[];
}

/** A browser, and the server that its pages come from. */
export class Stage {
    readonly endpoints: Endpoints = {
        config: { status: 404, body: {} },
        apikey: { status: 404, body: {} },
        asked: [],
    };
    readonly #browser: Browser;
    readonly #server: Server;
    readonly #origin: string;

    private constructor(browser: Browser, server: Server) {
        this.#browser = browser;
        this.#server = server;
        this.#origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }

    static async start(): Promise<Stage> {
        const { outputFiles } = await build({
            absWorkingDir: PACKAGE,
            entryPoints: ["test/browser/app.tsx"],
            bundle: true,
            format: "esm",
            // With React's own checks, and effects that run twice.
            define: { "process.env.NODE_ENV": '"development"' },
            write: false,
        });
        const script = outputFiles[0]?.text ?? "";
        const server = createServer();
        await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
        const browser = await puppeteer.launch({
            executablePath: await chromium.executablePath(),
            // The sandbox cannot be set up by root, which machines that build are.
            args: ["--no-sandbox", "--disable-gpu"],
            headless: "shell",
        });
        const stage = new Stage(browser, server);
        server.on("request", ({ url = "/", headers }, response) => {
            const answer = (status: number, type: string, body: string): void => {
                response.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" }).end(body);
            };
            if (url === "/")
                answer(
                    200,
                    "text/html",
                    '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/app.js"></script>',
                );
            else if (url === "/app.js") answer(200, "text/javascript", script);
            else if (url === "/api/websocket/config" || url === "/api/websocket/apikey") {
                const endpoint = url.endsWith("config") ? stage.endpoints.config : stage.endpoints.apikey;
                stage.endpoints.asked.push({ path: url, authorization: headers.authorization });
                answer(endpoint.status, "application/json", JSON.stringify(endpoint.body));
            } else answer(404, "text/plain", "not found");
        });
        return stage;
    }

    /** A new page. */
    async open(): Promise<Tab> {
        const page = await this.#browser.newPage();
        const tab = new Tab(page, await page.createCDPSession());
        await tab.listen();
        await page.goto(this.#origin);
        await page.waitForFunction("window.harness !== undefined");
        return tab;
    }

    async end(): Promise<void> {
        await this.#browser.close();
        this.#server.closeAllConnections();
        this.#server.close();
    }
}

/** What a component was given, as far as it can leave the page. */
export interface Seen {
    readonly data: Record<string, Record<string, unknown>>;
    readonly subscriptions: Record<string, { state: string; code?: string }>;
    readonly stale: string[];
    readonly isConnected: boolean;
    readonly isAuthenticated: boolean;
    readonly isPaused: boolean;
    readonly isStale: boolean;
    readonly error: { code: string; message: string; isRetrying: boolean } | null;
    readonly feed: { state: string; message: string } | null;
    readonly phase: string;
    readonly retryAt: number | null;
}

/** A page. */
export class Tab {
    /** All sockets that the page ever opened. */
    readonly sockets: Socket[] = [];
    /** What the page reported as errors. */
    readonly complaints: string[] = [];
    readonly page: Page;
    readonly #session: CDPSession;

    constructor(page: Page, session: CDPSession) {
        this.page = page;
        this.#session = session;
    }

    async listen(): Promise<void> {
        const byId = new Map<string, Socket>();
        const read = (payload: string): Record<string, unknown> =>
            JSON.parse(payload) as Record<string, unknown>;
        this.#session.on("Network.webSocketCreated", ({ requestId, url }) => {
            const socket: Socket = { url, sent: [], received: [], isClosed: false };
            byId.set(requestId, socket);
            this.sockets.push(socket);
        });
        this.#session.on("Network.webSocketFrameSent", ({ requestId, response }) => {
            if (response.opcode === 1) byId.get(requestId)?.sent.push(read(response.payloadData));
        });
        this.#session.on("Network.webSocketFrameReceived", ({ requestId, response }) => {
            if (response.opcode === 1) byId.get(requestId)?.received.push(read(response.payloadData));
        });
        this.#session.on("Network.webSocketClosed", ({ requestId }) => {
            const socket = byId.get(requestId);
            if (socket) socket.isClosed = true;
        });
        await this.#session.send("Network.enable");
        this.page.on("pageerror", (error) => this.complaints.push(String(error)));
        this.page.on("console", (message) => {
            // The browser itself reports connections that fail.
            if (
                message.type() === "error" &&
                !/WebSocket connection|Failed to load resource/.test(message.text())
            )
                this.complaints.push(message.text());
        });
    }

    /** Sockets that are open. */
    get open(): Socket[] {
        return this.sockets.filter((socket) => !socket.isClosed);
    }

    /** Requests of all sockets by their action. */
    requests(action: string): Record<string, unknown>[] {
        return this.sockets.flatMap((socket) => socket.sent.filter((request) => request.action === action));
    }

    /** Instruments of all requests with this action, as `NSE:SBIN/1`. */
    asked(action: string): string[] {
        return this.requests(action).flatMap(({ symbols, mode }) =>
            (symbols as { exchange: string; symbol: string }[]).map(
                ({ exchange, symbol }) => `${exchange}:${symbol}/${mode as number}`,
            ),
        );
    }

    async mount(id: string, spec: Spec): Promise<void> {
        await this.page.evaluate(
            (id, spec) => (window as unknown as { harness: Harness }).harness.mount(id, spec),
            id,
            spec,
        );
    }

    async unmount(id: string): Promise<void> {
        await this.page.evaluate((id) => (window as unknown as { harness: Harness }).harness.unmount(id), id);
    }

    async renderAgain(): Promise<void> {
        await this.page.evaluate(() => (window as unknown as { harness: Harness }).harness.renderAgain());
    }

    async reconnect(id: string): Promise<void> {
        await this.page.evaluate(
            (id) => (window as unknown as { harness: Harness }).harness.results[id]?.reconnect(),
            id,
        );
    }

    async renders(): Promise<Record<string, number>> {
        return this.page.evaluate(() => ({ ...(window as unknown as { harness: Harness }).harness.renders }));
    }

    async shown(): Promise<[string, string, string, number][]> {
        return this.page.evaluate(() => [...(window as unknown as { harness: Harness }).harness.shown]);
    }

    async see(id: string): Promise<Seen | undefined> {
        return (await this.page.evaluate((id) => {
            const result = (window as unknown as { harness: Harness }).harness.results[id];
            return (
                result && {
                    ...result,
                    reconnect: undefined,
                    data: Object.fromEntries(result.data),
                    subscriptions: Object.fromEntries(result.subscriptions),
                    stale: [...result.stale],
                }
            );
        }, id)) as Seen | undefined;
    }

    /** Waits until what a component is given is as it should be. */
    async sees(id: string, what: string, is: (seen: Seen) => unknown): Promise<Seen> {
        let last: Seen | undefined;
        try {
            return await until(what, async () => {
                last = await this.see(id);
                return last && is(last) ? last : undefined;
            });
        } catch (failure) {
            throw new Error(`${String(failure)}; ${id} sees ${JSON.stringify(last)}`);
        }
    }

    /** The price of an instrument as it stands on the screen. */
    async price(id: string, symbol: string): Promise<string | undefined> {
        return this.page.evaluate(
            (id, symbol) =>
                document.querySelector(`#${id} [data-symbol="${symbol}"] td`)?.textContent ?? undefined,
            id,
            symbol,
        );
    }

    /** Hides the page as minimizing its window does, or shows it again. */
    async setHidden(isHidden: boolean): Promise<void> {
        const { windowId } = await this.#session.send("Browser.getWindowForTarget");
        await this.#session.send("Browser.setWindowBounds", {
            windowId,
            bounds: { windowState: isHidden ? "minimized" : "normal" },
        });
        await until(`the page is ${isHidden ? "hidden" : "visible"}`, () =>
            this.page.evaluate((is) => (document.visibilityState === "hidden") === is, isHidden),
        );
    }

    async close(): Promise<void> {
        await this.page.close();
    }
}
