// Colours a playbook with the grammar, and holds what its words are taken for.
const fs = require("fs");
const path = require("path");
const assert = require("assert");
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const grammarFile = path.join(__dirname, "../syntaxes/rhai.tmLanguage.json");
const wasm = path.join(path.dirname(require.resolve("vscode-oniguruma")), "onig.wasm");

const TEXT = [
  "//! What it is for.",
  'const PLAYBOOK = #{ title: "A \\"b\\"", timeout: "5m" };',
  "let n = kv::get(`a ${ #{ x: 1 }.x } b`) ?? 0x1f; /* one /* two */ still */ n",
  "fn twice(a) { if (a > 1) { return a * 2.5; } #\"raw \"here\"#.len() }",
];

// What each of these is taken for, by line.
const EXPECTED = [
  [0, "What", "comment.line.documentation"],
  [1, "PLAYBOOK", "entity.name.type.playbook"],
  [1, "title", "variable.other.property"],
  [1, '\\"', "constant.character.escape"],
  [2, "kv", "entity.name.namespace"],
  [2, "get", "entity.name.function.call"],
  [2, "a ", "string.interpolated"],
  [2, " b", "string.interpolated"],
  [2, "0x1f", "constant.numeric"],
  [2, "still", "comment.block"],
  [3, "twice", "entity.name.function"],
  [3, "if", "keyword.control"],
  [3, "2.5", "constant.numeric"],
  [3, "here", "string.quoted.other.raw"],
  [3, "len", "entity.name.function.call"],
];

async function main() {
  await oniguruma.loadWASM(fs.readFileSync(wasm).buffer);
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async () => textmate.parseRawGrammar(fs.readFileSync(grammarFile, "utf8"), grammarFile),
  });
  const grammar = await registry.loadGrammar("source.rhai");
  let stack = textmate.INITIAL;
  const lines = TEXT.map((line) => {
    const { tokens, ruleStack } = grammar.tokenizeLine(line, stack);
    stack = ruleStack;
    return tokens;
  });
  for (const [line, words, scope] of EXPECTED) {
    const at = TEXT[line].indexOf(words);
    const token = lines[line].find((token) => token.startIndex <= at && at < token.endIndex);
    assert.ok(
      token.scopes.some((found) => found.startsWith(scope)),
      `${JSON.stringify(words)} in line ${line + 1} is ${token.scopes.join(" ")}, not ${scope}`,
    );
  }
  assert.strictEqual(lines[3].at(-1).scopes.length, 1, "everything that is opened is closed");
  console.log(`${EXPECTED.length} words are taken for what they are`);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
