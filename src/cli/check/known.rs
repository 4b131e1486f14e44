//! What the checks must know of a project, gathered from its files and settings. Also for editors.

use std::sync::Arc;

use crate::app::App;
use crate::namespaces::prompt;
use crate::script::Language;
use crate::script::check::Project;
use crate::script::source::Text;

/// The project around every text that is checked, as it is now.
pub fn project(app: &App) -> Project {
    let files = app.library.files.clone();
    project_with(app, move |module: &str| {
        let found = files.module(module).map_err(|fault| fault.to_string())?;
        Ok(Text::new(found.file, found.text))
    })
}

/// The same, with modules that `find` finds.
pub fn project_with(app: &App, find: impl Fn(&str) -> Result<Text, String> + Clone + Send + Sync + 'static) -> Project {
    let mut project = in_language(app, app.library.language.clone(), find.clone());
    if !app.library.files.tests().is_empty() {
        project.tests = Some(Box::new(in_language(app, app.library.tests(), find)));
    }
    project
}

fn in_language(
    app: &App,
    language: Arc<Language>,
    find: impl Fn(&str) -> Result<Text, String> + Send + Sync + 'static,
) -> Project {
    let mut project = Project::new(language, find);
    project.settings = app.config.file.check.clone();
    project.providers = app.providers.iter().map(|provider| provider.name.clone()).collect();
    project.writers = app.writers.clone();
    project.publishers = app.publishers.clone();
    if app.config.project.is_some() {
        let files: Arc<_> = app.files();
        project.prompts = Some(prompt::variables::all(&prompt::texts(&files)));
        let names = app.library.files.list();
        for name in names.iter().chain(&app.library.files.tests()) {
            // What cannot be read has a finding of its own.
            let text = app
                .library
                .files
                .playbook(name)
                .map(|found| found.text)
                .unwrap_or_default();
            project.imported.extend(imports_of(&text));
        }
        project.playbooks = Some(names.into_iter().collect());
    }
    project
}

/// The modules that a text imports, as far as its lines show: whoever wants it exactly reads the tree.
fn imports_of(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| {
        let (name, _) = line.trim_start().strip_prefix("import \"")?.split_once('"')?;
        Some(name.to_owned())
    })
}
