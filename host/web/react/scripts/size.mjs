// What the package adds to an application, gzipped, against its limit.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const LIMIT_BYTES = 10_000;

const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL("..", import.meta.url)),
    entryPoints: ["src/index.ts"],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["react"],
    write: false,
});
const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`@tickhost/react: ${bytes} bytes gzipped, of ${LIMIT_BYTES} at most`);
if (bytes >= LIMIT_BYTES) process.exit(1);
