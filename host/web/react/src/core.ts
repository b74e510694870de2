// The client without React, for other frameworks and for programs.

export { MarketDataClient, type ConnectionState, type Hold, type Phase } from "./client.ts";
export { source, type Credentials, type Source, type SourceOptions } from "./credentials.ts";
export { sharedClient } from "./shared.ts";
export type { Viewer } from "./viewers.ts";
export { View, type MarketDataResult, type Wish } from "./view.ts";
export { instrument, mode, symbolKey, type Instrument } from "./instruments.ts";
