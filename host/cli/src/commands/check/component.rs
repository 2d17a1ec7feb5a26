//! A plugin: whether it loads, and whether it answers its own golden cases.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use flyball_engine::Plugin;

use super::told::{Checked, Told};
use super::{Bench, Found};
use crate::exit::Failure;
use crate::files;
use crate::narrator::tame;
use flyball_model::{printable_path, shell_word};

/// Whoever mends cases need not be told of more at once.
const MOST_CASES: usize = 10;

pub(super) fn check(bench: &Bench, place: usize, file: &Path, found: &mut Found) -> Result<Checked, Failure> {
    let bytes = files::plugin(file)?;
    let loaded = bench.engine.load(&bytes).map_err(|fault| anyhow!("{}: {fault}", printable_path(file)))?;
    let plugin = Arc::new(loaded);
    let mut checked = Checked::good(file, "plugin", summary(&plugin));
    let description = plugin.description();
    checked.notes.push(tame(&description.summary));
    checked
        .notes
        .extend(description.wants.iter().map(|(grant, why)| format!("wants {}: {}", tame(grant), tame(why))));
    let failing = plugin.failing_cases(MOST_CASES);
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if stem != description.name {
        let message = format!("in a plugin directory it must be called {}.wasm", description.name);
        let help = format!(
            "rename it: mv {} {}",
            shell_word(&printable_path(file)),
            shell_word(&printable_path(&file.with_file_name(format!("{}.wasm", description.name))))
        );
        checked.warnings.push(Told::of_file(file, "file-name", message, Some(help)));
    }
    if failing.is_empty() {
        match plugin.cases() {
            0 => checked
                .notes
                .push("it brings no golden cases; `flyball_plugin::cases!` puts them in".to_owned()),
            cases => checked.notes.push(format!("{cases} golden cases, each answered as it should be")),
        }
    }
    let help = "mend the plugin or the case; a version that fails one of its own cases does not serve";
    checked.faults.extend(
        failing
            .into_iter()
            .map(|fault| Told::of_file(file, "golden-case", fault.to_string(), Some(help.to_owned()))),
    );
    found.plugins.push((place, description.name.clone()));
    Ok(checked)
}

fn summary(plugin: &Plugin) -> String {
    let id = plugin.id();
    format!(
        "{} {} {}, {} bytes, sha256 {}",
        plugin.kind(),
        id.name,
        id.version,
        plugin.size(),
        id.digest.get(..12).unwrap_or(&id.digest)
    )
}
