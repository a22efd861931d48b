// The grammar of PowerShell files, for check_powershell.sh: each place that is none is printed.
// usage: node check_powershell.mjs FOLDER-OF-PACKAGES FILE...
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [packages, ...files] = process.argv.slice(2);
const library = path.join(packages, "node_modules", "web-tree-sitter");
const entry = JSON.parse(fs.readFileSync(path.join(library, "package.json"), "utf8"));
const main = entry.exports?.["."]?.import ?? entry.module ?? entry.main;
const { Parser, Language } = await import(pathToFileURL(path.join(library, main?.default ?? main)).href);

await Parser.init();
const parser = new Parser();
parser.setLanguage(
    await Language.load(path.join(packages, "node_modules", "tree-sitter-powershell", "tree-sitter-powershell.wasm")),
);

/** Calls `found` for each node that is an error, or that is missing. */
function walk(node, found) {
    if (node.isError || node.isMissing) found(node);
    if (node.hasError) for (let i = 0; i < node.childCount; i++) walk(node.child(i), found);
}

let bad = 0;
for (const file of files) {
    const tree = parser.parse(fs.readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
    walk(tree.rootNode, (node) => {
        bad++;
        const what = node.isMissing ? `${node.type} is missing` : `syntax error near ${JSON.stringify(node.text.slice(0, 40))}`;
        console.log(`${file}:${node.startPosition.row + 1}:${node.startPosition.column + 1}: ${what}`);
    });
}
process.exit(bad ? 1 : 0);
