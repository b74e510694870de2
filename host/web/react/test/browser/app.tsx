// The application under test: components that a test mounts and unmounts, and what they were given.

import { StrictMode, memo } from "react";
import { createRoot } from "react-dom/client";
import {
    useMarketData,
    useTick,
    type MarketDataOptions,
    type MarketDataResult,
    type ModeInput,
} from "../../src/index.ts";

/** A component to be mounted. */
export interface Spec {
    readonly symbols: readonly string[];
    readonly mode?: ModeInput;
    readonly options?: MarketDataOptions;
    /** A component for each symbol, with `useTick`. */
    readonly isPerSymbol?: boolean;
}

/** What the test reads. */
export interface Harness {
    mount(id: string, spec: Spec): void;
    unmount(id: string): void;
    /** Renders everything again, with new lists and objects. */
    renderAgain(): void;
    readonly results: Record<string, MarketDataResult>;
    readonly renders: Record<string, number>;
    /** Prices that were on the screen: who, instrument, mode, price. */
    readonly shown: [string, string, string, number][];
}

const specs = new Map<string, Spec>();
const root = createRoot(document.getElementById("root") as HTMLElement);
const render = (): void =>
    root.render(
        <StrictMode>
            {[...specs].map(([id, spec]) => (
                <Watch key={id} id={id} spec={{ ...spec, symbols: [...spec.symbols] }} />
            ))}
        </StrictMode>,
    );

const harness: Harness = {
    mount(id, spec) {
        specs.set(id, spec);
        render();
    },
    unmount(id) {
        specs.delete(id);
        render();
    },
    renderAgain: render,
    results: {},
    renders: {},
    shown: [],
};
(window as unknown as { harness: Harness }).harness = harness;

function count(id: string): void {
    harness.renders[id] = (harness.renders[id] ?? 0) + 1;
}

function Watch({ id, spec }: { id: string; spec: Spec }) {
    if (spec.isPerSymbol) {
        return spec.symbols.map((symbol) => (
            <Row
                key={symbol}
                id={id}
                symbol={symbol}
                mode={spec.mode ?? "quote"}
                url={spec.options?.url}
                apiKey={spec.options?.apiKey}
            />
        ));
    }
    return <Table id={id} spec={spec} />;
}

function Table({ id, spec }: { id: string; spec: Spec }) {
    const result = useMarketData(spec.symbols, spec.mode, { ...spec.options });
    count(id);
    harness.results[id] = result;
    return (
        <table id={id} className={result.isStale ? "stale" : "fresh"}>
            <caption>
                {result.phase} {result.error?.code}
            </caption>
            <tbody>
                {[...result.data].map(([key, tick]) => {
                    if (tick.ltp !== undefined) harness.shown.push([id, key, tick.mode, tick.ltp]);
                    return (
                        <tr key={key} data-symbol={key}>
                            <td>{tick.ltp}</td>
                            <td>{tick.depth?.buy.length}</td>
                        </tr>
                    );
                })}
            </tbody>
        </table>
    );
}

const Row = memo(function Row(props: {
    id: string;
    symbol: string;
    mode: ModeInput;
    url: string | undefined;
    apiKey: string | undefined;
}) {
    const tick = useTick(props.symbol, props.mode, { url: props.url, apiKey: props.apiKey });
    count(`${props.id} ${props.symbol}`);
    return <p data-symbol={props.symbol}>{tick?.ltp}</p>;
});
