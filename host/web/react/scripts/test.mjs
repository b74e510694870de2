// Bundles the tests of a folder and runs them: `node scripts/test.mjs unit|browser`.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const kind = process.argv[2];
const tests = readdirSync(`${here}test/${kind}`).filter((name) => /\.test\.tsx?$/.test(name));
const out = `${here}dist/test/${kind}`;
rmSync(out, { recursive: true, force: true });
await build({
    absWorkingDir: here,
    entryPoints: tests.map((name) => `test/${kind}/${name}`),
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    sourcemap: "inline",
    define: { PACKAGE: JSON.stringify(here) },
});
const files = tests.map((name) => `${out}/${name.replace(/\.tsx?$/, ".mjs")}`);
// One at a time where a browser and a host are started: machines that build have few cores.
const order = kind === "browser" ? ["--test-concurrency=1"] : [];
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...order, ...files], {
    cwd: here,
    stdio: "inherit",
});
process.exit(status ?? 1);
