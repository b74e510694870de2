// An application, as the type check of somebody who installed the package sees it.

import { useMarketData, useTick, type MarketData, type MarketDataResult, type Mode } from "@tickhost/react";
import { sharedClient, type Hold } from "@tickhost/react/core";

export function Watch({ mode }: { mode: Mode }) {
    const result: MarketDataResult = useMarketData(["NSE:SBIN", { exchange: "BSE", symbol: "TCS" }], mode, {
        url: "ws://127.0.0.1:8765",
        apiKey: "k",
    });
    const tick: MarketData | undefined = useTick("NSE:SBIN");
    // @ts-expect-error There is no such mode.
    useMarketData([], "full");
    // @ts-expect-error Values are not changed.
    if (tick) tick.ltp = 1;
    return <p>{result.data.get("NSE:SBIN")?.depth?.buy[0]?.price ?? tick?.ltp}</p>;
}

export function hold(): Hold {
    const viewer = { changed: () => undefined };
    return sharedClient({ url: "ws://127.0.0.1:8765", apiKey: "k" }).hold(
        viewer,
        [{ exchange: "NSE", symbol: "SBIN" }],
        "ltp",
        false,
    );
}
