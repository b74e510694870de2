// The clients of this page, one for each host and key.

import { MarketDataClient } from "./client.ts";
import { source, type SourceOptions } from "./credentials.ts";

/** Beyond so many, those that nobody uses are forgotten: keys may change often in a page that stays open for weeks. */
const KEPT = 16;

const clients = new Map<string, MarketDataClient>();

/** The client for these options. Making it connects nothing. */
export function sharedClient(options: SourceOptions): MarketDataClient {
    const from = source(options);
    let client = clients.get(from.id);
    if (!client) {
        if (clients.size >= KEPT) {
            for (const [id, known] of clients) if (!known.isInUse) clients.delete(id);
        }
        client = new MarketDataClient(from);
        clients.set(from.id, client);
    }
    return client;
}
