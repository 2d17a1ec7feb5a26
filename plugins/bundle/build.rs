//! Builds the first-party plugins as components, with the lean settings that the SDK recommends. Cargo runs it.
//!
//! A first-party plugin is a folder of `plugins/` whose crate is a `cdylib`; no list names them.
//!
//! The plugins need the compiler's target `wasm32-wasip2`. Where it is missing, this script asks rustup to add it; where
//! nobody can (a distribution's compiler, no network), it takes the components that the repository carries in
//! `carried/`. Each of the two is said in one line. It upholds that a first build needs no step before it, and that a
//! carried component is the one whose digest stands in `carried/components.txt`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use sha2::{Digest, Sha256};

const TARGET: &str = "wasm32-wasip2";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let own = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = own.ancestors().nth(2).ok_or("the bundle is not in plugins/ of its workspace")?;
    watch(root);
    let plugins = plugins(&root.join("plugins"))?;
    let made = if target_is_there()? || target_is_added() {
        let target_dir = out.join("guests");
        compile(root, &target_dir, &plugins)?;
        Made { folder: target_dir.join(TARGET).join("plugin"), from_source: true }
    } else {
        println!(
            "cargo::warning=the target {TARGET} is missing and cannot be added here: the plugins are the components that the repository carries"
        );
        // The compiler may be given the target later.
        println!("cargo::rerun-if-changed={}", rustlib()?.display());
        Made { folder: take_carried(&own.join("carried"), &out)?, from_source: false }
    };
    let list: Result<Vec<String>, String> = plugins.iter().map(|name| entry(&made.folder, name)).collect();
    let source = format!("&[\n{}]", list?.concat());
    write(&out.join("first_party.rs"), source.as_bytes())?;
    write(&out.join("from_source.rs"), made.from_source.to_string().as_bytes())
}

/// The names of the folders that hold a plugin, in the order of the alphabet. A plugin's package has its folder's name.
fn plugins(folder: &Path) -> Result<Vec<String>, String> {
    let unread = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for found in fs::read_dir(folder).map_err(unread)? {
        let found = found.map_err(unread)?;
        let Ok(manifest) = fs::read_to_string(found.path().join("Cargo.toml")) else { continue };
        let is_plugin =
            manifest.lines().any(|line| line.starts_with("crate-type") && line.contains("\"cdylib\""));
        if is_plugin {
            names.push(found.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Where the components are, and whether they were built from the source beside them.
struct Made {
    folder: PathBuf,
    from_source: bool,
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(file, bytes).map_err(|error| format!("{}: {error}", file.display()))
}

/// The folder of the compiler's targets.
fn rustlib() -> Result<PathBuf, String> {
    let printed = Command::new(variable("RUSTC")?)
        .args(["--print", "sysroot"])
        .output()
        .map_err(|error| format!("rustc cannot be run: {error}"))?;
    Ok(Path::new(String::from_utf8_lossy(&printed.stdout).trim()).join("lib/rustlib"))
}

/// The commit that the compiler was built from.
fn compiler_commit() -> Result<String, String> {
    let printed = Command::new(variable("RUSTC")?)
        .arg("-vV")
        .output()
        .map_err(|error| format!("rustc cannot be run: {error}"))?;
    let printed = String::from_utf8_lossy(&printed.stdout);
    let commit = printed.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    Ok(commit.unwrap_or("unknown").to_owned())
}

fn target_is_there() -> Result<bool, String> {
    Ok(rustlib()?.join(TARGET).join("lib").is_dir())
}

/// Whether rustup has added the target just now.
fn target_is_added() -> bool {
    let added = Command::new("rustup").args(["target", "add", TARGET]).stdin(Stdio::null()).output();
    let added = added.is_ok_and(|done| done.status.success()) && target_is_there().unwrap_or(false);
    if added {
        println!(
            "cargo::warning=added the target {TARGET} to the toolchain with rustup: the plugins are built for it"
        );
    }
    added
}

/// Unpacks the carried components and holds each against its digest. `components.txt` lists them in the order in which
/// they lie in the archive, a line each: name, bytes, SHA-256.
fn take_carried(carried: &Path, out: &Path) -> Result<PathBuf, String> {
    let index_file = carried.join("components.txt");
    let index =
        fs::read_to_string(&index_file).map_err(|error| format!("{}: {error}", index_file.display()))?;
    let archive_file = carried.join("components.zst");
    let archive =
        fs::File::open(&archive_file).map_err(|error| format!("{}: {error}", archive_file.display()))?;
    let broken = |error: &dyn std::fmt::Display| format!("{} is damaged: {error}", archive_file.display());
    let mut unpacked = ruzstd::decoding::StreamingDecoder::new(archive).map_err(|error| broken(&error))?;
    let folder = out.join("carried");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for line in index.lines() {
        let [name, bytes, digest] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("{}: {line:?} is not a name, a size and a digest", index_file.display()));
        };
        let size =
            bytes.parse::<u64>().map_err(|error| format!("{}: {bytes:?}: {error}", index_file.display()))?;
        let mut wasm = Vec::new();
        unpacked.by_ref().take(size).read_to_end(&mut wasm).map_err(|error| broken(&error))?;
        let found: String = Sha256::digest(&wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        if found != digest {
            return Err(broken(&format!("{name} has the digest {found}, not {digest}")));
        }
        write(&folder.join(name.replace('-', "_")).with_extension("wasm"), &wasm)?;
    }
    Ok(folder)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: this is a build script, run by cargo"))
}

fn watch(root: &Path) {
    for path in ["wit", "json", "plugins", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
}

/// A cargo of its own, in a target folder of its own: in the outer one it would wait for the outer's lock for ever.
fn compile(root: &Path, target_dir: &Path, plugins: &[String]) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--profile", "plugin", "--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir);
    for name in plugins {
        cargo.args(["--package", name]);
    }
    // What the outer cargo says is about the outer target, or would send the guests' output elsewhere.
    for outer in [
        "RUSTFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
    ] {
        cargo.env_remove(outer);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", guest_flags(root)?.join("\u{1f}"));
    let done = cargo.output().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("the first-party plugins do not build:\n{said}"))
}

/// Paths are left out of the components, so that they hold nothing of the machine and are the same wherever they are built.
fn guest_flags(root: &Path) -> Result<Vec<String>, String> {
    let cargo_home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir()
            .ok_or("there is no home directory, in which cargo keeps its sources")?
            .join(".cargo"),
    };
    Ok(vec![
        // A small stack: with the data and the heap behind it, an instance begins with two pages.
        "-Clink-arg=-zstack-size=65536".to_owned(),
        format!("--remap-path-prefix={}=/flyball", root.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home.display()),
        // Where rustup has the standard library's source too, the compiler names that instead of its own name for it.
        format!(
            "--remap-path-prefix={}=/rustc/{}",
            rustlib()?.join("src/rust").display(),
            compiler_commit()?
        ),
    ])
}

fn entry(made: &Path, name: &str) -> Result<String, String> {
    let file = made.join(name.replace('-', "_")).with_extension("wasm");
    if !file.exists() {
        return Err(format!("{} was not built", file.display()));
    }
    Ok(format!(
        "    FirstParty {{ name: {name:?}, wasm: include_bytes!({:?}) }},\n",
        file.display().to_string()
    ))
}
