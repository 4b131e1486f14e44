//! What is open, what is told of it, and what is put off until the editor is quiet.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lsp_server::{ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{self as told, Notification as _};
use lsp_types::request::{self as ask, Request as _};
use lsp_types::{
    DidChangeTextDocumentParams, DidChangeWatchedFilesRegistrationOptions, DidOpenTextDocumentParams,
    FileSystemWatcher, GlobPattern, InitializeParams, InitializeResult, MessageType, PublishDiagnosticsParams,
    Registration, RegistrationParams, ServerInfo, ShowMessageParams, Uri,
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::capabilities::{Client, offered};
use super::diagnostics;
use super::documents::{Document, Documents, Refused};
use super::knowledge::Knowledge;
use super::requests::{read, written};
use super::server::{Answer, Refusal};
use super::source::Source;
use super::workspace::Overlay;
use super::workspace::{Home, Workspace, path_of, uri_of};
use crate::io::clock::Clock;
use crate::script::check::Project;
use crate::script::limits::SOURCE_BYTES_MAX;

/// How long an editor must be quiet before what it shows is checked.
const QUIET: Duration = Duration::from_millis(20);

/// How long before the other open files are checked again, which may import the one that was edited.
const QUIET_OTHERS: Duration = Duration::from_millis(400);

/// Files of a project that are looked through for uses of a name.
pub const FILES_MAX: usize = 1000;

/// One client's session.
pub struct Session {
    clock: Arc<dyn Clock>,
    pub client: Client,
    pub documents: Documents,
    workspace: Workspace,
    /// What is to be sent beside answers.
    pub outbox: Vec<Message>,
    /// What was read of each document, with the generation that was read.
    sources: BTreeMap<String, (u64, Arc<Source>)>,
    /// The documents to be checked, and when.
    due: BTreeMap<String, Duration>,
    /// The last runs that were looked up, with what the store's file looked like.
    pub recorded: super::recorded::Cache,
    /// The open texts, for whoever reads modules.
    overlay: Overlay,
    requests: i32,
}

/// What a request is about: a document, and the project it belongs to.
pub struct View<'s> {
    pub session: &'s mut Session,
    pub source: Arc<Source>,
    pub home: Arc<Home>,
    pub knowledge: Arc<Knowledge>,
}

impl Session {
    pub fn new(folder: &Path, clock: Arc<dyn Clock>) -> Session {
        Session {
            clock,
            client: Client::default(),
            documents: Documents::default(),
            workspace: Workspace::new(folder),
            outbox: Vec::new(),
            sources: BTreeMap::new(),
            due: BTreeMap::new(),
            recorded: super::recorded::Cache::default(),
            overlay: Overlay::default(),
            requests: 0,
        }
    }

    pub fn initialize(&mut self, params: Json) -> Answer {
        let params: InitializeParams = read(params)?;
        self.client = Client::of(&params.capabilities);
        self.documents.encoding = self.client.encoding;
        let folders = params.workspace_folders.unwrap_or_default();
        if let Some(folder) = folders.iter().find_map(|folder| path_of(&folder.uri)) {
            self.workspace.set_folder(folder);
        }
        written(InitializeResult {
            capabilities: offered(&self.client),
            server_info: Some(ServerInfo {
                name: "host".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
        })
    }

    /// Every notification that means something here; the others are passed over, as the protocol wants it.
    pub fn notified(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        match method.as_str() {
            told::Initialized::METHOD => self.watch_files(),
            told::DidOpenTextDocument::METHOD => self.with(params, |session, params: DidOpenTextDocumentParams| {
                let document = params.text_document;
                let opened = session
                    .documents
                    .open(document.uri.clone(), document.version, document.text);
                session.settle(&document.uri, opened);
            }),
            told::DidChangeTextDocument::METHOD => self.with(params, |session, params: DidChangeTextDocumentParams| {
                let document = params.text_document;
                let changed = session
                    .documents
                    .change(&document.uri, document.version, params.content_changes);
                session.settle(&document.uri, changed);
            }),
            told::DidSaveTextDocument::METHOD => {
                self.with(params, |session, params: lsp_types::DidSaveTextDocumentParams| {
                    let saved = session.documents.saved(&params.text_document.uri, params.text);
                    // A client that tells nothing of files may have made one by this.
                    if !session.client.registers_watchers {
                        session.workspace.forget();
                    }
                    session.settle(&params.text_document.uri, saved);
                });
            }
            told::DidCloseTextDocument::METHOD => {
                self.with(params, |session, params: lsp_types::DidCloseTextDocumentParams| {
                    let uri = params.text_document.uri;
                    if session.documents.close(&uri) {
                        session.sources.remove(uri.as_str());
                        session.overlay.set(path_of(&uri), None);
                        session.due.remove(uri.as_str());
                        session.publish(uri, Vec::new(), None);
                        session.put_off_all();
                    }
                });
            }
            told::DidChangeWatchedFiles::METHOD | told::DidChangeConfiguration::METHOD => self.refresh(),
            told::DidChangeWorkspaceFolders::METHOD => self.refresh(),
            _ => {}
        }
    }

    fn with<P: DeserializeOwned>(&mut self, params: Json, work: impl FnOnce(&mut Session, P)) {
        match serde_json::from_value(params) {
            Ok(params) => work(self, params),
            Err(error) => tracing::warn!(%error, "a notification is not as it should be"),
        }
    }

    /// The client's answer to a request of ours; none is waited for.
    pub fn answered(&mut self, response: Response) {
        if let Err(error) = response.response_result {
            tracing::debug!(code = error.code, "the client refused: {}", error.message);
        }
    }

    /// Says what became of an edit, and puts a check of the text off for a moment.
    fn settle(&mut self, uri: &Uri, edited: Result<(), Refused>) {
        match edited {
            Ok(()) => {}
            Err(Refused::OutOfStep(reason)) => {
                let name = name_of(uri);
                self.say(
                    MessageType::WARNING,
                    format!("{name} is not checked any more: {reason}. Save it, or open it again"),
                );
            }
            Err(other) => self.say(MessageType::WARNING, other.to_string()),
        }
        self.overlay.set(
            path_of(uri),
            self.documents.get(uri).map(|document| document.text.as_str()),
        );
        self.put_off_all();
        if self.documents.get(uri).is_some() {
            self.due.insert(uri.as_str().to_owned(), self.clock.monotonic() + QUIET);
        }
    }

    fn put_off_all(&mut self) {
        let at = self.clock.monotonic() + QUIET_OTHERS;
        let uris: Vec<String> = self
            .documents
            .iter()
            .map(|document| document.uri.as_str().to_owned())
            .collect();
        for uri in uris {
            self.due.insert(uri, at);
        }
    }

    /// Reads projects anew, and checks what is open against them.
    fn refresh(&mut self) {
        self.workspace.forget();
        self.recorded = super::recorded::Cache::default();
        self.put_off_all();
        if self.client.refreshes_lenses {
            self.demand(ask::CodeLensRefresh::METHOD, Json::Null);
        }
        if self.client.refreshes_hints {
            self.demand(ask::InlayHintRefreshRequest::METHOD, Json::Null);
        }
    }

    /// How long until there is something to do.
    pub fn pause(&self) -> Option<Duration> {
        let first = self.due.values().min()?;
        Some(first.saturating_sub(self.clock.monotonic()))
    }

    /// Checks the document that has waited longest, if it has waited long enough.
    pub fn rest(&mut self) {
        let now = self.clock.monotonic();
        let due = self.due.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at);
        let Some(uri) = due.map(|(uri, _)| uri.clone()) else {
            return;
        };
        self.due.remove(&uri);
        let Ok(uri) = uri.parse::<Uri>() else { return };
        let Some(document) = self.documents.get(&uri) else {
            return;
        };
        let (version, is_lost) = (document.version, document.out_of_step.is_some());
        let found = match is_lost {
            true => Vec::new(),
            false => diagnostics::of(self, &uri),
        };
        self.publish(uri, found, Some(version));
    }

    fn publish(&mut self, uri: Uri, diagnostics: Vec<lsp_types::Diagnostic>, version: Option<i32>) {
        let params = PublishDiagnosticsParams {
            uri,
            diagnostics,
            version,
        };
        let method = told::PublishDiagnostics::METHOD.to_owned();
        self.outbox
            .push(Message::Notification(Notification::new(method, params)));
    }

    /// Tells the person at the editor.
    pub fn say(&mut self, kind: MessageType, message: String) {
        let params = ShowMessageParams { typ: kind, message };
        let method = told::ShowMessage::METHOD.to_owned();
        self.outbox
            .push(Message::Notification(Notification::new(method, params)));
    }

    /// Asks something of the client.
    fn demand(&mut self, method: &str, params: impl serde::Serialize) {
        self.requests += 1;
        let request = Request::new(self.requests.into(), method.to_owned(), params);
        self.outbox.push(Message::Request(request));
    }

    /// Asks to be told of changes on disk that checks depend on.
    fn watch_files(&mut self) {
        if !self.client.registers_watchers {
            return;
        }
        let globs = [
            "**/host.toml",
            "**/.env",
            "**/prompts/**",
            "**/playbooks/**/*.rhai",
            "**/*.redb",
        ];
        let watchers = globs.map(|glob| FileSystemWatcher {
            glob_pattern: GlobPattern::String(glob.to_owned()),
            kind: None,
        });
        let options = DidChangeWatchedFilesRegistrationOptions {
            watchers: watchers.to_vec(),
        };
        let registration = Registration {
            id: "files".to_owned(),
            method: told::DidChangeWatchedFiles::METHOD.to_owned(),
            register_options: serde_json::to_value(options).ok(),
        };
        let registrations = vec![registration];
        self.demand(ask::RegisterCapability::METHOD, RegistrationParams { registrations });
    }

    /// A document and its project; refused when what is here is not what the editor shows.
    pub fn view(&mut self, uri: &Uri) -> Answer<View<'_>> {
        let document = self
            .documents
            .get(uri)
            .ok_or_else(|| Refusal::new(ErrorCode::InvalidParams, format!("{} is not open", uri.as_str())))?;
        if let Some(reason) = &document.out_of_step {
            return Err(Refusal::new(ErrorCode::ContentModified, reason.clone()));
        }
        if document.text.len() > SOURCE_BYTES_MAX {
            let bytes = document.text.len();
            return Err(Refusal::failed(format!(
                "the script has {bytes} bytes; at most {SOURCE_BYTES_MAX} are read"
            )));
        }
        let source = Self::source_of(&mut self.sources, document, self.documents.encoding);
        let home = self.workspace.home(source.path.as_deref());
        Ok(View {
            session: self,
            knowledge: home.knowledge(source.path.as_deref()),
            source,
            home,
        })
    }

    fn source_of(
        sources: &mut BTreeMap<String, (u64, Arc<Source>)>,
        document: &Document,
        encoding: super::positions::Encoding,
    ) -> Arc<Source> {
        let uri = document.uri.as_str();
        if let Some((generation, source)) = sources.get(uri)
            && *generation == document.generation
        {
            return source.clone();
        }
        let source = Source::read(document.uri.clone(), path_of(&document.uri), &document.text, encoding);
        let source = Arc::new(source);
        sources.insert(uri.to_owned(), (document.generation, source.clone()));
        source
    }

    /// The text of the file at `path`: as the editor has it, else as it lies there.
    pub fn source_at(&mut self, path: &Path) -> Option<Arc<Source>> {
        let encoding = self.documents.encoding;
        let open = self
            .documents
            .iter()
            .find(|document| path_of(&document.uri).as_deref() == Some(path));
        if let Some(document) = open.filter(|document| document.out_of_step.is_none()) {
            return Some(Self::source_of(&mut self.sources, document, encoding));
        }
        let text = crate::io::whole::read(path, SOURCE_BYTES_MAX as u64).ok()??;
        let text = String::from_utf8(text).ok()?;
        let source = Source::read(uri_of(path)?, Some(path.to_owned()), &text, encoding);
        Some(Arc::new(source))
    }

    /// The text of an open file, if it is open and known.
    pub fn open_text(&self, path: &Path) -> Option<&str> {
        let open = self
            .documents
            .iter()
            .find(|document| path_of(&document.uri).as_deref() == Some(path))?;
        open.out_of_step.is_none().then_some(open.text.as_str())
    }

    /// What checks know of a project; modules are read as the editor has them.
    pub fn project_of(&mut self, home: &Arc<Home>) -> Arc<Project> {
        home.checked(&self.overlay)
    }

    pub fn home_of(&mut self, path: Option<&Path>) -> Arc<Home> {
        self.workspace.home(path)
    }

    /// Every playbook and module of a project, read: as the editor has it, else as it lies on disk.
    pub fn sources_of(&mut self, home: &Home) -> Vec<Arc<Source>> {
        let Some(folder) = home
            .app
            .config
            .project
            .as_ref()
            .map(|project| project.join("playbooks"))
        else {
            return Vec::new();
        };
        let names = home.app.library.files.list();
        let paths = names
            .into_iter()
            .take(FILES_MAX)
            .map(|name| folder.join(format!("{name}.rhai")));
        paths.filter_map(|path| self.source_at(&path)).collect()
    }

    /// The projects of everything that is open, each once.
    pub fn open_homes(&mut self) -> Vec<Arc<Home>> {
        let paths: Vec<_> = self.documents.iter().map(|document| path_of(&document.uri)).collect();
        let mut homes: Vec<Arc<Home>> = vec![self.workspace.home(None)];
        for path in paths {
            let home = self.workspace.home(path.as_deref());
            if !homes.iter().any(|known| Arc::ptr_eq(known, &home)) {
                homes.push(home);
            }
        }
        homes
    }
}

/// The last part of an address, for people.
fn name_of(uri: &Uri) -> String {
    let last = uri.as_str().rsplit('/').next().unwrap_or_default();
    last.chars().take(80).collect()
}
