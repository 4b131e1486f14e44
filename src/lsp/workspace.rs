//! Which project a file belongs to: the innermost folder above it with a `host.toml`.
//!
//! A file outside of any has the language and the built-in providers, and no project. Where `host.toml` cannot be read,
//! its project is one of presets until it can be; what is wrong is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lsp_types::Uri;

use super::knowledge::Knowledge;
use crate::app::App;
use crate::cli::check::known::project_with;
use crate::config::{Config, FILE_NAME};
use crate::io::scripts::is_test;
use crate::script::check::Project;
use crate::script::source::Text;

/// Projects that are known at once; the rest is read again when it is asked for.
const HOMES_MAX: usize = 16;

/// One project, and what it has to offer.
pub struct Home {
    pub app: App,
    /// Why `host.toml` or `.env` cannot be used.
    pub trouble: Option<String>,
    knowledge: Arc<Knowledge>,
    /// What tests of playbooks have; made when the first is opened.
    of_tests: OnceLock<Arc<Knowledge>>,
    /// Gathered when it is first asked for.
    project: OnceLock<Arc<Project>>,
}

/// The texts of open files, as whoever reads modules sees them.
#[derive(Clone, Default)]
pub struct Overlay(Arc<Mutex<BTreeMap<PathBuf, Arc<str>>>>);

impl Overlay {
    pub fn set(&self, path: Option<PathBuf>, text: Option<&str>) {
        let Some(path) = path else { return };
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => texts.insert(path, text.into()),
            None => texts.remove(&path),
        };
    }

    fn get(&self, path: &Path) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }
}

/// The projects that open files belong to.
pub struct Workspace {
    /// Where files belong that lie nowhere.
    folder: PathBuf,
    homes: BTreeMap<PathBuf, Arc<Home>>,
}

impl Workspace {
    pub fn new(folder: &Path) -> Workspace {
        Workspace {
            folder: folder.to_owned(),
            homes: BTreeMap::new(),
        }
    }

    /// The folder that the editor has opened first.
    pub fn set_folder(&mut self, folder: PathBuf) {
        self.folder = folder;
    }

    /// The home of the file at `path`.
    pub fn home(&mut self, path: Option<&Path>) -> Arc<Home> {
        let folder = path.and_then(Path::parent).unwrap_or(&self.folder);
        let project = folder.ancestors().find(|folder| folder.join(FILE_NAME).is_file());
        let root = project.unwrap_or(folder).to_owned();
        if let Some(home) = self.homes.get(&root) {
            return home.clone();
        }
        if self.homes.len() >= HOMES_MAX {
            self.homes.clear();
        }
        let home = Arc::new(Home::open(&root, project.is_some()));
        self.homes.insert(root, home.clone());
        home
    }

    /// Reads every project anew when it is asked for next: a file that says what it is has changed.
    pub fn forget(&mut self) {
        self.homes.clear();
    }

    /// The roots of the projects that are known.
    pub fn homes(&self) -> impl Iterator<Item = (&PathBuf, &Arc<Home>)> {
        self.homes.iter()
    }
}

impl Home {
    fn open(root: &Path, is_project: bool) -> Home {
        let (app, trouble) = match App::new(root) {
            Ok(app) => (app, None),
            Err(error) => {
                let presets = Config::presets(root, is_project);
                let app = App::with(presets).expect("presets can be put together");
                (app, Some(error.to_string()))
            }
        };
        Home {
            knowledge: Arc::new(Knowledge::of(&app, &app.library.language)),
            of_tests: OnceLock::new(),
            project: OnceLock::new(),
            app,
            trouble,
        }
    }

    /// What the script at `path` can call.
    pub fn knowledge(&self, path: Option<&Path>) -> Arc<Knowledge> {
        let name = path.and_then(Path::file_stem).map(|stem| stem.to_string_lossy());
        match name.is_some_and(|name| is_test(&name)) {
            true => self
                .of_tests
                .get_or_init(|| Arc::new(Knowledge::of(&self.app, &self.app.library.tests())))
                .clone(),
            false => self.knowledge.clone(),
        }
    }

    /// What checks know of the project; modules are those of `overlay`, else those on disk.
    pub fn checked(&self, overlay: &Overlay) -> Arc<Project> {
        let gather = || {
            let files = self.app.library.files.clone();
            let overlay = overlay.clone();
            let find = move |module: &str| {
                let found = files.module(module).map_err(|fault| fault.to_string())?;
                Ok(match files.path(module).and_then(|path| overlay.get(&path)) {
                    Some(text) => Text::new(found.file, text),
                    None => Text::new(found.file, found.text),
                })
            };
            Arc::new(project_with(&self.app, find))
        };
        self.project.get_or_init(gather).clone()
    }

    /// The name of the playbook or module at `path`, as imports give it.
    pub fn module_name(&self, path: &Path) -> Option<String> {
        let folder = self.app.config.project.as_ref()?.join("playbooks");
        let below = path.strip_prefix(folder).ok()?.with_extension("");
        Some(below.to_string_lossy().replace('\\', "/"))
    }

    /// Where the module `name` lies, if it does.
    pub fn module_path(&self, name: &str) -> Option<PathBuf> {
        self.app
            .library
            .files
            .module(name)
            .ok()
            .and_then(|_| self.app.library.files.path(name))
    }

    /// How people name the file at `path`: from the project's folder on.
    pub fn shown(&self, path: &Path) -> String {
        let shown = path.strip_prefix(&self.app.config.root).unwrap_or(path);
        shown.to_string_lossy().into_owned()
    }
}

/// The file that an address means.
pub fn path_of(uri: &Uri) -> Option<PathBuf> {
    let url = url::Url::parse(uri.as_str()).ok()?;
    if url.scheme() != "file" {
        return None;
    }
    url.to_file_path().ok()
}

/// The address of a file.
pub fn uri_of(path: &Path) -> Option<Uri> {
    url::Url::from_file_path(path).ok()?.as_str().parse().ok()
}
