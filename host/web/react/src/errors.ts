// What goes wrong, in one shape.

/** Something that went wrong. Never contains a key. */
export interface MarketDataError {
    /**
     * A code of PROTOCOL.md, or one of the client's own: `CONNECTION_LOST` with the close code in the message,
     * `CONFIGURATION_ERROR` when the page could not learn where to connect or with which key, `INVALID_PARAMETERS` and
     * `INVALID_MODE` for what the application asked.
     */
    readonly code: string;
    readonly message: string;
    /** Whether the client goes on trying by itself. */
    readonly isRetrying: boolean;
}

/** Reading of an unknown failure that can hold neither a key nor an address. */
export function describe(failure: unknown): string {
    return failure instanceof Refusal
        ? failure.message
        : failure instanceof Error
          ? failure.name
          : "unknown failure";
}

/** A failure whose message is safe to show. */
export class Refusal extends Error {}
