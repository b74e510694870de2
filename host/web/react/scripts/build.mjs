// Makes dist/: one module for applications, one without React, and the declarations of both.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
// Chunks of earlier builds, but not what the tests keep beside them.
mkdirSync(`${here}dist`, { recursive: true });
for (const name of readdirSync(`${here}dist`))
    if (/\.(js|map|d\.ts)$/.test(name)) rmSync(`${here}dist/${name}`);
await build({
    absWorkingDir: here,
    entryPoints: ["src/index.ts", "src/core.ts"],
    splitting: true,
    outdir: "dist",
    bundle: true,
    format: "esm",
    target: "es2022",
    external: ["react"],
    sourcemap: true,
});
execFileSync("node", ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    cwd: here,
    stdio: "inherit",
});
