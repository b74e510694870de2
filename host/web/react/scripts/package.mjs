// Packs the package, lays it where npm would, and uses it: its types with both ways of finding modules, and its code.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const application = `${here}dist/application/`;
const installed = `${application}node_modules/@tickhost/react`;
const run = (command, args, cwd) =>
    execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

run("npm", ["run", "--silent", "build"], here);
mkdirSync(installed, { recursive: true });
const [{ filename, files }] = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--silent", "--pack-destination", application], here),
);
run("tar", ["xzf", filename, "-C", installed, "--strip-components=1"], application);

// A package of its own, or its imports would be taken for those of this one.
writeFileSync(`${application}package.json`, '{ "private": true, "type": "module" }\n');
copyFileSync(`${here}test/package/consumer.tsx`, `${application}consumer.tsx`);
for (const [module, resolution] of [
    ["esnext", "bundler"],
    ["nodenext", "nodenext"],
]) {
    const options = [
        "--ignoreConfig",
        "--noEmit",
        "--strict",
        "--exactOptionalPropertyTypes",
        "--jsx",
        "react-jsx",
        "--target",
        "es2022",
    ];
    run(
        process.execPath,
        [
            `${here}node_modules/typescript/bin/tsc`,
            ...options,
            "--module",
            module,
            "--moduleResolution",
            resolution,
            "consumer.tsx",
        ],
        application,
    );
}
const use =
    'const [hooks, core] = await Promise.all([import("@tickhost/react"), import("@tickhost/react/core")]);' +
    "console.log(typeof hooks.useMarketData, typeof hooks.useTick, typeof core.sharedClient);";
const found = run(process.execPath, ["--input-type=module", "-e", use], application).trim();
if (found !== "function function function") throw new Error(`the package exports ${found}`);
for (const { path } of files) {
    if (!/^(package\.json|README\.md|dist\/[^/]+\.(js|js\.map|d\.ts))$/.test(path))
        throw new Error(`${path} does not belong in the package`);
}
console.log(`@tickhost/react: packed with ${files.length} files, type-checked and imported`);
