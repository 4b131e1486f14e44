// Starts `host lsp` and lets it speak with the editor. There is nothing else to it: what the language server knows, every
// editor has.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const command = vscode.workspace.getConfiguration("host").get("path") || "host";
  const server = { command, args: ["lsp"] };
  client = new LanguageClient("host", "host", server, {
    documentSelector: [
      { scheme: "file", language: "rhai" },
      { scheme: "untitled", language: "rhai" },
    ],
  });
  try {
    await client.start();
  } catch (error) {
    const where = "Install host, or say where it lies in the setting host.path.";
    vscode.window.showErrorMessage(`host: \`${command} lsp\` does not start. ${where} (${error.message ?? error})`);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running && running.isRunning()) {
    await running.stop();
  }
}

exports.activate = async (context) => {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(
    vscode.commands.registerCommand("host.restart", restart),
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration("host.path") && restart()),
  );
  await start();
};

exports.deactivate = stop;
