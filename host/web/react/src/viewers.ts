// Who looks at what, and telling them of changes no more often than the page is painted.

import type { Environment } from "./environment.ts";
import type { Topic } from "./topics.ts";

/** Somebody who looks at some topics. */
export interface Viewer {
    /** Something changed; told at most once for each frame that is painted. */
    changed(): void;
}

/** All viewers of a client. */
export class Viewers {
    readonly #environment: Environment;
    readonly #topics = new Map<Viewer, ReadonlySet<Topic>>();
    #dirty = new Set<Topic>();
    #isAllDirty = false;
    #isDue = false;

    constructor(environment: Environment) {
        this.#environment = environment;
    }

    get isEmpty(): boolean {
        return this.#topics.size === 0;
    }

    add(viewer: Viewer, topics: readonly Topic[]): void {
        this.#topics.set(viewer, new Set(topics));
    }

    remove(viewer: Viewer): void {
        this.#topics.delete(viewer);
    }

    /** A topic changed. */
    touch(topic: Topic): void {
        this.#dirty.add(topic);
        this.#soon();
    }

    /** Something changed that all look at. */
    touchAll(): void {
        this.#isAllDirty = true;
        this.#soon();
    }

    #soon(): void {
        if (this.#isDue) return;
        this.#isDue = true;
        this.#environment.onFrame(() => {
            this.#isDue = false;
            const [dirty, isAllDirty] = [this.#dirty, this.#isAllDirty];
            this.#dirty = new Set();
            this.#isAllDirty = false;
            for (const [viewer, topics] of [...this.#topics]) {
                if (isAllDirty || anyOf(dirty, topics)) viewer.changed();
            }
        });
    }
}

function anyOf(dirty: ReadonlySet<Topic>, topics: ReadonlySet<Topic>): boolean {
    const [few, many] = dirty.size < topics.size ? [dirty, topics] : [topics, dirty];
    for (const topic of few) if (many.has(topic)) return true;
    return false;
}
