//! A client that speaks the protocol, and the project it has open.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// No answer takes so long, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and everything it has said.
pub struct Client {
    pub folder: TempDir,
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Json>,
    requests: i64,
    /// What it said beside answers, oldest first.
    pub told: Vec<Json>,
}

/// An error that answered a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: i64,
    pub message: String,
}

impl Client {
    /// A server in a project with these files, not yet greeted.
    pub fn start(files: &[(&str, &str)]) -> Client {
        Client::start_with(files, &[])
    }

    pub fn start_with(files: &[(&str, &str)], env: &[(&str, &str)]) -> Client {
        let folder = TempDir::new().expect("a temporary folder");
        for (path, text) in files {
            write(&folder.path().join(path), text);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        command
            .args(["lsp", "--stdio"])
            .current_dir(folder.path())
            .env_clear()
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let mut output = BufReader::new(child.stdout.take().expect("it has an output"));
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Client {
            folder,
            input: child.stdin.take(),
            child,
            output: receiver,
            requests: 0,
            told: Vec::new(),
        }
    }

    /// A server that has been greeted as by an editor that can do everything.
    pub fn greeted(files: &[(&str, &str)]) -> Client {
        Client::greeted_with(files, &[], json!({}))
    }

    pub fn greeted_with(files: &[(&str, &str)], env: &[(&str, &str)], capabilities: Json) -> Client {
        let mut client = Client::start_with(files, env);
        client.greet(capabilities);
        client
    }

    pub fn greet(&mut self, more: Json) -> Json {
        let mut capabilities = json!({
            "textDocument": {
                "completion": { "completionItem": { "snippetSupport": true } },
                "documentSymbol": { "hierarchicalDocumentSymbolSupport": true },
            },
        });
        if let Some(more) = more.as_object() {
            capabilities.as_object_mut().expect("a map").extend(more.clone());
        }
        let folder = uri_of(self.folder.path());
        let answer = self.ask(
            "initialize",
            json!({ "processId": null, "capabilities": capabilities, "workspaceFolders": [{ "uri": folder, "name": "p" }] }),
        );
        self.tell("initialized", json!({}));
        answer
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn uri(&self, path: &str) -> String {
        uri_of(&self.path(path))
    }

    pub fn write(&self, path: &str, text: &str) {
        write(&self.path(path), text);
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("it is open");
        input
            .write_all(bytes)
            .and_then(|()| input.flush())
            .expect("the server listens");
    }

    pub fn send(&mut self, message: &Json) {
        let text = message.to_string();
        self.send_bytes(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
    }

    pub fn tell(&mut self, method: &str, params: Json) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Sends a request and does not wait; its id.
    pub fn request(&mut self, method: &str, params: Json) -> i64 {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The answer to the request `id`.
    #[track_caller]
    pub fn answer(&mut self, id: i64) -> Result<Json, Refused> {
        let message = self.next(|message| message.get("id") == Some(&json!(id)) && message.get("method").is_none());
        match message.get("error") {
            Some(error) => Err(Refused {
                code: error["code"].as_i64().expect("a code"),
                message: error["message"].as_str().expect("a message").to_owned(),
            }),
            None => Ok(message["result"].clone()),
        }
    }

    #[track_caller]
    pub fn try_ask(&mut self, method: &str, params: Json) -> Result<Json, Refused> {
        let id = self.request(method, params);
        self.answer(id)
    }

    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Json) -> Json {
        let answer = self.try_ask(method, params);
        answer.unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
    }

    /// The next message that `is_wanted`; what comes before it is kept in `told`.
    #[track_caller]
    pub fn next(&mut self, is_wanted: impl Fn(&Json) -> bool) -> Json {
        if let Some(at) = self.told.iter().position(&is_wanted) {
            return self.told.remove(at);
        }
        loop {
            let message = self.output.recv_timeout(PATIENCE);
            let message = message.unwrap_or_else(|error| panic!("the server says no more ({error}): {:?}", self.told));
            if is_wanted(&message) {
                return message;
            }
            self.told.push(message);
        }
    }

    pub fn open(&mut self, path: &str, text: &str) {
        let uri = self.uri(path);
        let document = json!({ "uri": uri, "languageId": "rhai", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    pub fn change(&mut self, path: &str, version: i64, changes: Json) {
        let document = json!({ "uri": self.uri(path), "version": version });
        self.tell(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": changes }),
        );
    }

    /// The findings of one version of a document: `3:5 error UNKNOWN_FUNCTION message`, first lines only.
    #[track_caller]
    pub fn findings(&mut self, path: &str, version: i64) -> Vec<String> {
        let uri = self.uri(path);
        let message = self.next(|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri.as_str()
                && message["params"]["version"] == version
        });
        shown(&message["params"]["diagnostics"])
    }

    /// A request about a place in a document.
    #[track_caller]
    pub fn at(&mut self, method: &str, path: &str, (line, character): (u32, u32)) -> Json {
        let params = self.place(path, (line, character));
        self.ask(method, params)
    }

    pub fn place(&self, path: &str, (line, character): (u32, u32)) -> Json {
        json!({
            "textDocument": { "uri": self.uri(path) },
            "position": { "line": line, "character": character },
            "context": { "includeDeclaration": true, "triggerKind": 1, "isRetrigger": false },
        })
    }

    /// Opens `marked` without its mark `‸`; where the mark was.
    pub fn open_at(&mut self, path: &str, marked: &str) -> (u32, u32) {
        let at = marked.find('‸').expect("a mark");
        self.open(path, &marked.replacen('‸', "", 1));
        let before = &marked[..at];
        let line = before.matches('\n').count() as u32;
        let column = before.rsplit('\n').next().expect("a line").encode_utf16().count() as u32;
        (line, column)
    }

    /// What is offered at the mark of `marked`.
    #[track_caller]
    pub fn offered(&mut self, path: &str, marked: &str) -> Vec<String> {
        let place = self.open_at(path, marked);
        let answer = self.at("textDocument/completion", path, place);
        labels(&answer)
    }

    /// The server's own text of a document.
    #[track_caller]
    pub fn text(&mut self, path: &str) -> Option<String> {
        let uri = self.uri(path);
        let answer = self.ask("host/viewText", json!({ "uri": uri }));
        answer.as_str().map(str::to_owned)
    }

    /// Says goodbye; the exit code.
    pub fn leave(&mut self) -> i32 {
        self.ask("shutdown", Json::Null);
        self.tell("exit", Json::Null);
        self.end()
    }

    /// Closes the server's input, and waits for its end.
    pub fn end(&mut self) -> i32 {
        self.input = None;
        self.child.wait().expect("it ends").code().expect("it ends by itself")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input = None;
        // It may be gone already.
        self.child.kill().unwrap_or_default();
        assert!(self.child.wait().is_ok(), "it is a child of this process");
    }
}

pub fn uri_of(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
    std::fs::write(path, text).expect("a new file");
}

fn read(input: &mut impl BufRead) -> Option<Json> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().expect("a length"),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("JSON"))
}

/// Diagnostics as one line each.
pub fn shown(diagnostics: &Json) -> Vec<String> {
    let diagnostics = diagnostics.as_array().expect("a list");
    let show = |diagnostic: &Json| {
        let start = &diagnostic["range"]["start"];
        let level =
            ["", "error", "warning", "info", "hint"][diagnostic["severity"].as_u64().expect("a level") as usize];
        let message = diagnostic["message"].as_str().expect("a message");
        format!(
            "{}:{} {level} {} {}",
            start["line"],
            start["character"],
            diagnostic["code"].as_str().expect("a code"),
            message.lines().next().unwrap_or_default()
        )
    };
    diagnostics.iter().map(show).collect()
}

pub fn labels(answer: &Json) -> Vec<String> {
    let items = answer["items"].as_array().expect("a list of items");
    let label = |item: &Json| item["label"].as_str().expect("a label").to_owned();
    items.iter().map(label).collect()
}

/// `text` with an answer's edits of the document at `uri` made, as an editor makes them.
pub fn edited(text: &str, edits: &Json) -> String {
    let mut edits: Vec<&Json> = edits.as_array().expect("a list of edits").iter().collect();
    let key = |edit: &Json| {
        (
            edit["range"]["start"]["line"].as_u64(),
            edit["range"]["start"]["character"].as_u64(),
        )
    };
    edits.sort_by_key(|edit| key(edit));
    let mut text = text.to_owned();
    for edit in edits.into_iter().rev() {
        let start = offset(&text, &edit["range"]["start"]);
        let end = offset(&text, &edit["range"]["end"]);
        text.replace_range(start..end, edit["newText"].as_str().expect("a text"));
    }
    text
}

/// The byte at a position, columns in units of UTF-16: written here once more, to be compared with the server's.
pub fn offset(text: &str, position: &Json) -> usize {
    let line = position["line"].as_u64().expect("a line") as usize;
    let column = position["character"].as_u64().expect("a column") as usize;
    let mut start = 0;
    for _ in 0..line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => return text.len(),
        }
    }
    let rest = &text[start..];
    let line = rest.split('\n').next().expect("a line");
    let line = line
        .strip_suffix('\r')
        .filter(|_| rest.len() > line.len())
        .unwrap_or(line);
    let mut units = 0;
    for (at, letter) in line.char_indices() {
        units += letter.len_utf16();
        if units > column {
            return start + at;
        }
    }
    start + line.len()
}
