use std::fs;
use std::path::{Path, PathBuf};

use crate::guests::{Parts, contract, encoded};
use crate::recipes;

/// Where something was told of a component, and what.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It does not load.
    Load(String),
    /// The policy that uses it is not taken over.
    Policy(String),
    /// A tick's record names it among the judges that failed.
    Call(String),
    /// It answered.
    Answer(String),
}

pub struct Scenario {
    pub name: String,
    pub expected: (String, Vec<String>),
    /// Where the policy names it: `heuristics` unless it says otherwise.
    pub kind: String,
    /// How the policy uses it, as YAML of one line.
    pub used: String,
    folder: PathBuf,
    port: String,
}

/// Stands for the port of a server that never answers; of five letters, as its number has five digits.
const PORT: &str = "$PORT";

impl Scenario {
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile");
        let mut folders: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort_unstable();
        folders.into_iter().map(Self::of).collect()
    }

    fn of(folder: PathBuf) -> Self {
        let text = fs::read_to_string(folder.join("expect.txt")).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        let expected = (lines.next().unwrap(), lines.collect());
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let used = fs::read_to_string(folder.join("use.yaml")).unwrap_or_default().trim().to_owned();
        let kind = fs::read_to_string(folder.join("kind.txt")).unwrap_or_else(|_| "heuristics".to_owned());
        Self { name, expected, kind: kind.trim().to_owned(), used, folder, port: String::new() }
    }

    /// Every line that is expected is in what was told, at the place where it is expected.
    pub fn expects(&self, told: &Told) -> bool {
        let (place, said) = match told {
            Told::Load(said) => ("load", said),
            Told::Policy(said) => ("policy", said),
            Told::Call(said) => ("call", said),
            Told::Answer(said) => ("answer", said),
        };
        place == self.expected.0
            && !self.expected.1.is_empty()
            && self.expected.1.iter().all(|line| said.contains(line.as_str()))
    }

    fn part(&self, file: &str) -> Option<String> {
        Some(fs::read_to_string(self.folder.join(file)).ok()?.replace(PORT, &self.port))
    }

    /// The file that a hostile author ships. `port` is that of a server that never answers.
    pub fn bytes(&mut self, port: u16) -> Vec<u8> {
        self.port = port.to_string();
        self.used = self.used.replace(PORT, &self.port);
        let good = || encoded(&Parts::good(&self.name, "1.0.0").core(), "heuristic", &contract(&[]));
        if let Some(recipe) = self.part("bytes.txt") {
            return recipes::bytes(recipe.trim(), &self.name, good);
        }
        if let Some(text) = self.part("component.wat") {
            return wat::parse_str(text).unwrap();
        }
        let world = self.part("world.wit");
        let (world, resolve) = match &world {
            Some(text) => ("guest", contract(&[text])),
            None => ("heuristic", contract(&[])),
        };
        if let Some(text) = self.part("module.wat") {
            return encoded(&text, world, &resolve);
        }
        let part = |name: &str, good: &str| self.part(name).unwrap_or_else(|| good.to_owned());
        let good = Parts::good(&self.name, "1.0.0");
        let (name, version) = (part("name.txt", good.name), part("version.txt", good.version));
        let parts = Parts {
            name: name.trim(),
            version: version.trim(),
            imports: &part("imports.wat", good.imports),
            memory: &part("memory.wat", good.memory),
            realloc: &part("realloc.wat", good.realloc),
            fields: &part("fields.wat", good.fields),
            describe: &part("describe.wat", good.describe),
            check_settings: &part("check-settings.wat", good.check_settings),
            assess: &part("assess.wat", good.assess),
            answer: &part("answer.wat", good.answer),
            schema: &self.schema().unwrap_or_else(|| good.schema.to_owned()),
        };
        encoded(&parts.core(), world, &resolve)
    }

    fn schema(&self) -> Option<String> {
        self.part("schema.json")
            .or_else(|| self.part("schema.txt").map(|recipe| recipes::schema(recipe.trim())))
    }
}
