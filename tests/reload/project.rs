//! A project in a folder of its own, with a reloader at work on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::app::App;
use host::gate::Silent;
use host::io::clock::{Clock, SystemClock};
use host::journal::edition::{ReloadStatus, State, Version};
use host::runs::{Finished, Order};
use host::serve::{Edition, Live, Reloader, Reloading};
use host::store::tx::Ground;
use host::value::Value;

/// Far longer than anything may take.
pub const LONG: Duration = Duration::from_secs(20);

/// Longer than a save takes to be judged.
pub const A_WHILE: Duration = Duration::from_millis(600);

pub struct Project {
    pub folder: tempfile::TempDir,
    pub live: Arc<Live>,
    pub ground: Ground,
    reloading: Option<Reloading>,
}

pub fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

impl Project {
    pub fn of(files: &[(&str, &str)]) -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "host.toml", "");
        std::fs::create_dir_all(folder.path().join("playbooks")).expect("a folder");
        for (path, text) in files {
            write(folder.path(), path, text);
        }
        Project::in_folder(folder)
    }

    pub fn in_folder(folder: tempfile::TempDir) -> Project {
        Project::by_clock(folder, Arc::new(SystemClock::new()))
    }

    pub fn by_clock(folder: tempfile::TempDir, clock: Arc<dyn Clock>) -> Project {
        let mut app = App::new(folder.path()).expect("a project");
        app.clock = clock;
        let app = Arc::new(app);
        let ground = app.writer().expect("a store");
        let (live, reloading) = begin(app, ground.clone());
        Project {
            folder,
            live,
            ground,
            reloading: Some(reloading),
        }
    }

    /// The host ends, `meanwhile` happens, and another begins.
    pub fn again(&mut self, meanwhile: impl FnOnce(&Path)) {
        drop(self.reloading.take());
        meanwhile(self.folder.path());
        let app = Arc::new(App::new(self.folder.path()).expect("a project"));
        let (live, reloading) = begin(app, self.ground.clone());
        self.live = live;
        self.reloading = Some(reloading);
    }

    /// The host ends.
    pub fn stop(&mut self) {
        drop(self.reloading.take());
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn save(&self, path: &str, text: &str) {
        write(self.folder.path(), path, text);
    }

    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).expect("it is there");
    }

    /// Waits until `wanted` holds, and tells how long that took.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&Project) -> bool) -> Duration {
        let begun = Instant::now();
        while !wanted(self) {
            assert!(
                begun.elapsed() < LONG,
                "it never happened that {what}: {:?}",
                self.status()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }

    pub fn edition(&self) -> Arc<Edition> {
        self.live.current()
    }

    /// The text of a playbook as new runs get it.
    pub fn text(&self, name: &str) -> Option<String> {
        let edition = self.edition();
        edition.playbooks.get(name)?;
        let script = edition.app.library.playbook(name).expect("it is live, so it compiles");
        Some(script.source.text.to_string())
    }

    #[track_caller]
    pub fn until_live(&self, name: &str, text: &str) -> Duration {
        self.until(&format!("{name} is live as saved"), |project| {
            project.text(name).as_deref() == Some(text)
        })
    }

    pub fn status(&self) -> ReloadStatus {
        ReloadStatus::read(&*self.ground.store).expect("a status")
    }

    pub fn versions(&self) -> Vec<Version> {
        Version::latest(&*self.ground.store, 1_000).expect("versions")
    }

    pub fn states(&self) -> Vec<(u64, State)> {
        let versions = self.versions();
        versions.iter().map(|version| (version.number, version.state)).collect()
    }

    /// Runs a playbook as it is live now.
    pub fn run(&self, name: &str) -> Finished {
        run(&self.edition(), name)
    }
}

fn begin(app: Arc<App>, ground: Ground) -> (Arc<Live>, Reloading) {
    let reloader = Reloader::open(app, ground).expect("a first version");
    let live = reloader.live();
    (live, reloader.start(|_| {}).expect("a thread"))
}

pub fn run(edition: &Edition, name: &str) -> Finished {
    let script = edition.app.library.playbook(name).expect("it is live");
    let mode = edition.app.mode(&script.header.uses).expect("a mode");
    let order = Order {
        script,
        input: Value::Map(Default::default()),
        mode,
        trigger: "by a test".to_owned(),
        by: None,
        retry_of: None,
        corr: None,
        observer: Arc::new(Silent),
    };
    edition.runner.run(&order).expect("the store works")
}
