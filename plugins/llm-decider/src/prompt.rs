//! What the model is asked: the templates' sections, most relevant first, for as long as there is room.

use alloc::collections::BTreeMap;

use flyball_plugin::json::json;
use flyball_plugin::prelude::*;
use flyball_plugin::{NodeSpec, PastAction, SeenNode, pipeline};

use crate::LlmDecider;
use crate::form::{MOST_NAMES, Offer, form};
use crate::numbers::shown;
use crate::quoted::{is_presentable, quoted};
use crate::relevance::{Near, ranked};
use crate::template::Template;
use crate::words;

/// Bytes that count as a token until a provider tells.
pub(crate) const BYTES_A_TOKEN: usize = 4;

/// Kept for the lines that say what was left out.
const REMAINS: usize = 800;

/// The part of the room that is left that one section may take.
const SHARE: usize = 3;

/// Lines of the sections that have no rows of nodes.
const MOST_LINES: usize = 20;

/// The columns of numbers, by the names by which they are cited.
const COLUMNS: &[Metric] = &[
    Metric::LatencyP50Ms,
    Metric::LatencyP99Ms,
    Metric::ItemsPerSecond,
    Metric::QueueDepth,
    Metric::QueueCapacity,
    Metric::ErrorsPerSecond,
    Metric::Replicas,
    Metric::Restarts,
    Metric::MemoryMb,
    Metric::CpuPercent,
];

/// Numbers of the whole graph that every pipeline has.
const TOTALS: &[&str] = &["end-to-end-latency-ms", "throughput-per-second"];

/// A question, and what an answer to it may speak of.
pub(crate) struct Prompt {
    pub system: String,
    pub user: String,
    pub offer: Offer,
}

/// Lines of one section, for as long as there is room.
#[derive(Default)]
struct List {
    lines: Vec<String>,
    left_out: usize,
}

impl List {
    fn add(&mut self, line: String, room: &mut usize) -> bool {
        if self.left_out == 0
            && let Some(left) = room.checked_sub(line.len() + 1)
        {
            *room = left;
            self.lines.push(line);
            return true;
        }
        self.left_out += 1;
        false
    }

    /// No more than a share of the room, so that much of one section leaves something of the others.
    fn all(lines: impl IntoIterator<Item = String>, room: &mut usize) -> Self {
        let mut list = Self::default();
        let share = *room / SHARE;
        let mut left = share;
        for (number, line) in lines.into_iter().enumerate() {
            if number < MOST_LINES {
                list.add(line, &mut left);
            } else {
                list.left_out += 1;
            }
        }
        *room -= share - left;
        list
    }

    fn told(mut self, what: &str) -> String {
        if self.lines.is_empty() && self.left_out == 0 {
            return "none".to_owned();
        }
        if self.left_out > 0 {
            self.lines.push(format!("({} more {what})", self.left_out));
        }
        self.lines.join("\n")
    }
}

struct Writing<'a> {
    now: &'a Observation<'a>,
    situation: &'a Situation,
    /// Of a quoted text, in characters.
    most: usize,
    ranked: Vec<(u32, Near)>,
    room: usize,
    offer: Offer,
    rows: Vec<String>,
    shown: Vec<u32>,
}

/// `last` is what is said of the last answer.
pub(crate) fn prompt(
    settings: &LlmDecider,
    now: &Observation,
    situation: &Situation,
    last: &str,
) -> Result<Prompt, String> {
    let system =
        Template::read(&settings.own.system).map_err(|why| format!("the setting `system`: {why}"))?;
    let user = Template::read(&settings.own.user).map_err(|why| format!("the setting `user`: {why}"))?;
    let asked = |section: &str| system.asks_for(section) || user.asks_for(section);
    let offer = Offer {
        kinds: situation.allowed.iter().map(|allowed| allowed.kind.clone()).collect(),
        metrics: metrics(situation),
        ..Offer::default()
    };
    let whole = settings.own.prompt_tokens as usize * BYTES_A_TOKEN;
    let fixed = system.bytes()
        + user.bytes()
        + form(&Offer { targets: vec![String::new()], ..offer.clone() }).to_string().len();
    let mut writing = Writing {
        now,
        situation,
        most: settings.own.text_limit as usize,
        ranked: ranked(now, &situation.findings),
        room: whole.saturating_sub(fixed + last.len() + REMAINS),
        offer,
        rows: Vec::new(),
        shown: Vec::new(),
    };
    let mut sections: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut put = |names: &[&'static str], writing: &mut Writing| {
        for name in names.iter().filter(|name| asked(name)) {
            sections.insert(name, writing.section(name));
        }
    };
    put(&["session", "constraints", "graph_metrics", "actions", "findings"], &mut writing);
    let kept = writing.room / SHARE;
    writing.room -= kept;
    writing.nodes(Near::Beside);
    writing.room += kept;
    put(&["errors", "configuration", "past_actions", "catalog", "learned"], &mut writing);
    writing.nodes(Near::Rest);
    put(&["edges", "node_metrics"], &mut writing);
    if asked("last_answer") {
        sections.insert("last_answer", last.to_owned());
    }
    Ok(Prompt { system: system.filled(&sections), user: user.filled(&sections), offer: writing.offer })
}

/// What may be cited: the table's columns, the graph's numbers, and what findings rest on.
fn metrics(situation: &Situation) -> Vec<String> {
    let own = COLUMNS.iter().map(|metric| metric.name()).chain(TOTALS.iter().copied());
    let mut metrics: Vec<String> = own.map(ToOwned::to_owned).collect();
    let evidence = situation.findings.iter().take(MOST_LINES).flat_map(|finding| &finding.rests_on);
    for metric in evidence.filter_map(|evidence| evidence.metric.as_ref()) {
        if is_presentable(metric) && !metrics.contains(metric) && metrics.len() < 2 * MOST_LINES {
            metrics.push(metric.clone());
        }
    }
    metrics
}

/// What a name takes in the answer's form.
fn listed(name: &str) -> usize {
    json!(name).to_string().len() + 1
}

fn ago(now: u64, then: u64) -> String {
    format!("{} s ago", now.saturating_sub(then) / 1_000)
}

impl Writing<'_> {
    fn section(&mut self, name: &str) -> String {
        match name {
            "session" => self.session(),
            "constraints" => self.constraints(),
            "graph_metrics" => self.graph_metrics(),
            "actions" => self.actions(),
            "findings" => self.findings(),
            "errors" => self.errors(),
            "configuration" => self.configuration(),
            "past_actions" => self.past_actions(),
            "catalog" => self.catalog(),
            "learned" => self.learned(),
            "edges" => self.edges(),
            "node_metrics" => self.node_metrics(),
            _ => String::new(),
        }
    }

    fn session(&mut self) -> String {
        let session = self.quoted(&self.now.session());
        self.counted(session)
    }

    fn quoted(&self, text: &str) -> String {
        quoted(text, self.most)
    }

    fn names<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> String {
        let mut names = names.into_iter();
        let few: Vec<String> = names.by_ref().take(MOST_LINES).map(|name| self.quoted(name)).collect();
        match names.count() {
            0 if few.is_empty() => "none".to_owned(),
            0 => few.join(", "),
            more => format!("{} and {more} more", few.join(", ")),
        }
    }

    fn counted(&mut self, text: String) -> String {
        self.room = self.room.saturating_sub(text.len());
        text
    }

    fn id(&self, index: u32) -> String {
        self.now.node(index).map(|node| self.quoted(&node.id())).unwrap_or_default()
    }

    fn found(&self) -> impl Iterator<Item = SeenNode<'_>> {
        let found = self.ranked.iter().filter(|(_, near)| *near == Near::Found);
        found.filter_map(|(index, _)| self.now.node(*index))
    }

    fn allows(&self, kind: &str) -> bool {
        self.offer.kinds.iter().any(|allowed| allowed == kind)
    }

    fn constraints(&mut self) -> String {
        let constraints = &self.situation.constraints;
        let limit = |limit: Option<f64>, unit: &str| match limit {
            Some(limit) => format!("{}{unit}", shown(limit)),
            None => "none".to_owned(),
        };
        let text = format!(
            "max_latency={}, min_throughput={}, mutation_policy={}; protected nodes: {}",
            limit(constraints.max_latency_ms, "ms"),
            limit(constraints.min_throughput, " items/s"),
            words::mutation(constraints.mutation),
            self.names(&constraints.protected),
        );
        self.counted(text)
    }

    fn graph_metrics(&mut self) -> String {
        let mut lines: Vec<String> = TOTALS
            .iter()
            .map(|total| format!("- {total}: {}", shown(self.now.total(total).unwrap_or(f64::NAN))))
            .collect();
        let bottleneck = self.now.bottleneck().map(SeenNode::index);
        lines.push(format!(
            "- Bottleneck: {}",
            bottleneck.map_or_else(|| "none".to_owned(), |it| self.id(it))
        ));
        let path = self.now.critical_path();
        let mut named: Vec<String> = path.iter().take(MOST_LINES).map(|index| self.id(*index)).collect();
        if path.len() > MOST_LINES {
            named.push(format!("({} more)", path.len() - MOST_LINES));
        }
        let named = if named.is_empty() { "none".to_owned() } else { named.join(" → ") };
        lines.push(format!("- Critical path: {named}"));
        self.counted(lines.join("\n"))
    }

    fn actions(&mut self) -> String {
        let lines: Vec<String> = self
            .situation
            .allowed
            .iter()
            .map(|allowed| {
                let limits =
                    allowed.limits.as_deref().map(|limits| format!(" (limits: {})", self.quoted(limits)));
                format!("- {}: {}{}", allowed.kind, allowed.summary, limits.unwrap_or_default())
            })
            .collect();
        self.counted(lines.join("\n"))
    }

    fn findings(&mut self) -> String {
        let lines: Vec<String> = self
            .situation
            .findings
            .iter()
            .map(|finding| {
                let target = finding
                    .target
                    .as_deref()
                    .map_or_else(|| "the whole pipeline".to_owned(), |target| self.quoted(target));
                let rests: Vec<String> = finding
                    .rests_on
                    .iter()
                    .take(4)
                    .filter_map(|evidence| {
                        let limit = evidence.limit.map(|limit| format!(", limit {}", shown(limit)));
                        let value = shown(evidence.value?);
                        Some(format!(
                            "{} {value}{}",
                            self.quoted(evidence.metric.as_deref()?),
                            limit.unwrap_or_default()
                        ))
                    })
                    .collect();
                let rests = if rests.is_empty() { String::new() } else { format!(" ({})", rests.join("; ")) };
                let severity = words::severity(finding.severity);
                format!(
                    "- {severity} {} at {target}: {}{rests}",
                    self.quoted(&finding.code),
                    self.quoted(&finding.message)
                )
            })
            .collect();
        List::all(lines, &mut self.room).told("findings")
    }

    /// The rows of the nodes up to here, while there is room for a row and for its name in the answer's form.
    fn nodes(&mut self, until: Near) {
        let begun = self.shown.len();
        for position in begun..self.ranked.len() {
            let Some((index, near)) = self.ranked.get(position).copied() else { return };
            let Some(node) = self.now.node(index).filter(|_| near <= until) else { return };
            let id = node.id();
            let spec = pipeline::node(&id);
            let row = self.row(node, &id, near, spec.as_ref());
            let named = is_presentable(&id) && self.offer.seen.len() < MOST_NAMES;
            let listed = if named { 2 * listed(&id) } else { 0 };
            let Some(left) = self.room.checked_sub(row.len() + 1 + listed) else { return };
            self.room = left;
            self.rows.push(row);
            self.shown.push(index);
            if named {
                if spec.is_some() && !self.situation.constraints.protected.contains(&id) {
                    self.offer.targets.push(id.clone());
                }
                self.offer.seen.push(id);
            }
        }
    }

    fn row(&self, node: SeenNode, id: &str, near: Near, spec: Option<&NodeSpec>) -> String {
        let mut cells = vec![
            self.quoted(id),
            self.quoted(&node.node_type()),
            words::executor(node.executor()).to_owned(),
            words::status(node.status()).to_owned(),
            words::trend(node.latency_trend()).to_owned(),
        ];
        cells.extend(COLUMNS.iter().map(|metric| shown(node.number(*metric))));
        let mut notes = Vec::new();
        if near == Near::Found {
            notes.push("see findings");
        }
        if spec.is_some_and(|spec| spec.optional) {
            notes.push("optional");
        }
        if spec.is_some_and(|spec| spec.bypassed) {
            notes.push("bypassed");
        }
        if self.situation.constraints.protected.iter().any(|protected| protected == id) {
            notes.push("protected");
        }
        cells.push(notes.join(", "));
        format!("| {} |", cells.join(" | "))
    }

    fn node_metrics(&mut self) -> String {
        let names = ["node", "type", "executor", "status", "latency-trend"];
        let names = names.into_iter().chain(COLUMNS.iter().map(|metric| metric.name())).chain(["notes"]);
        let names: Vec<&str> = names.collect();
        let mut lines =
            vec![format!("| {} |", names.join(" | ")), format!("|{}", "---|".repeat(names.len()))];
        lines.append(&mut self.rows);
        let places = self.places();
        let hidden = self.now.nodes().filter(|node| places.get(node.index() as usize) == Some(&None));
        let hidden: Vec<Status> = hidden.map(SeenNode::status).collect();
        if !hidden.is_empty() {
            let counts: Vec<String> = [Status::Failed, Status::Degraded, Status::Unknown, Status::Healthy]
                .into_iter()
                .map(|status| (status, hidden.iter().filter(|one| **one == status).count()))
                .filter(|(_, count)| *count > 0)
                .map(|(status, count)| format!("{count} {}", words::status(status)))
                .collect();
            lines.push(format!("({} more nodes are not shown: {})", hidden.len(), counts.join(", ")));
        }
        lines.join("\n")
    }

    /// By a node's number, the place of its row.
    fn places(&self) -> Vec<Option<usize>> {
        let mut places = vec![None; self.now.len()];
        for (place, index) in self.shown.iter().enumerate() {
            if let Some(shown) = places.get_mut(*index as usize) {
                *shown = Some(place);
            }
        }
        places
    }

    fn edges(&mut self) -> String {
        let places = self.places();
        let place = |index: u32| places.get(index as usize).copied().flatten();
        let edges = self.now.edges();
        let mut near: Vec<(usize, usize, u32, u32)> = edges
            .iter()
            .filter_map(|(from, to)| {
                let (one, other) = (place(*from)?, place(*to)?);
                Some((one.min(other), one.max(other), *from, *to))
            })
            .collect();
        near.sort_unstable();
        let lines: Vec<String> =
            near.iter().map(|(_, _, from, to)| format!("- {} → {}", self.id(*from), self.id(*to))).collect();
        let mut list = List::all(lines, &mut self.room);
        list.left_out += edges.len() - near.len();
        list.told("edges")
    }

    fn configuration(&mut self) -> String {
        let few: Vec<SeenNode> = self.found().take(MOST_LINES).collect();
        let changes = self.allows("update-node-config") || self.allows("replace-node");
        let lines: Vec<String> = few
            .into_iter()
            .filter_map(|node| pipeline::node(&node.id()))
            .map(|spec| {
                let schema = pipeline::node_type(&spec.node_type).and_then(|it| it.config_schema);
                let schema = schema
                    .filter(|_| changes)
                    .map(|it| format!(", its schema {}", quoted(&it, 4 * self.most)));
                let (id, config) = (self.quoted(&spec.id), quoted(&spec.config, 4 * self.most));
                format!("- {id}: {config}{}", schema.unwrap_or_default())
            })
            .collect();
        List::all(lines, &mut self.room).told("nodes")
    }

    /// Those of the nodes with findings first, then the newest; equal ones are counted.
    fn errors(&mut self) -> String {
        let found: Vec<u32> = self.found().map(SeenNode::index).collect();
        let newest = self.now.errors(10 * MOST_LINES as u32);
        let mut errors: Vec<(Option<u32>, String, Option<u64>, usize)> = Vec::new();
        let lasting = self.found().filter_map(|node| Some((Some(node.index()), node.last_error()?, None)));
        let lasting: Vec<_> = lasting.collect();
        for (node, message, at) in
            newest.into_iter().map(|error| (error.node, error.message, Some(error.at))).chain(lasting)
        {
            match errors.iter_mut().find(|known| known.0 == node && known.1 == message) {
                Some(known) => known.3 += usize::from(at.is_some()),
                None => errors.push((node, message, at, 1)),
            }
        }
        errors.sort_by_key(|(node, ..)| !node.is_some_and(|node| found.contains(&node)));
        let lines: Vec<String> = errors
            .into_iter()
            .map(|(node, message, at, count)| {
                let at = at.map_or_else(|| "last".to_owned(), |at| ago(self.now.taken_at(), at));
                let node = node.map_or_else(|| "the whole pipeline".to_owned(), |node| self.id(node));
                let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
                format!("- [{at}] {node}: {}{times}", self.quoted(&message))
            })
            .collect();
        List::all(lines, &mut self.room).told("errors")
    }

    fn past_actions(&mut self) -> String {
        let line = |past: &PastAction| {
            let at = ago(self.now.taken_at(), past.at);
            let action = words::action(&past.proposal.action, self.most);
            let (by, reason) = (self.quoted(&past.decided_by), self.quoted(&past.proposal.reason));
            format!("- [{at}] {action} by {by}: {reason} → {}", words::outcome(past.outcome))
        };
        let lines: Vec<String> = self.situation.past.iter().map(line).collect();
        List::all(lines, &mut self.room).told("older actions")
    }

    fn learned(&mut self) -> String {
        let lines: Vec<String> = self
            .situation
            .learned
            .iter()
            .map(|it| {
                let counts = [
                    (it.verified, "helped"),
                    (it.ineffective, "did not help"),
                    (it.worse, "made it worse"),
                    (it.unknown, "unknown"),
                    (it.failed, "failed"),
                    (it.rolled_back, "undone"),
                ];
                let counts: Vec<String> = counts
                    .into_iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, what)| format!("{count} {what}"))
                    .collect();
                let on = it.node_type.as_deref().map(|it| format!(" on type {}", self.quoted(it)));
                let (kind, finding) = (self.quoted(&it.kind), self.quoted(&it.finding));
                format!("- {kind} against {finding}{}: {}", on.unwrap_or_default(), counts.join(", "))
            })
            .collect();
        List::all(lines, &mut self.room).told("lines")
    }

    /// The types of what was found, then what provides the same, then the others; all of them only where one may be used.
    fn catalog(&mut self) -> String {
        let mut own: Vec<NodeType> = Vec::new();
        for node in self.found().take(MOST_LINES) {
            if let Some(known) = pipeline::node_type(&node.node_type())
                && !own.iter().any(|one| one.name == known.name)
            {
                own.push(known);
            }
        }
        let mut types = own.clone();
        if self.allows("replace-node") || self.allows("insert-node") {
            let others = pipeline::node_types();
            let mut others: Vec<NodeType> =
                others.into_iter().filter(|it| !own.iter().any(|known| known.name == it.name)).collect();
            others.sort_by_key(|it| {
                !it.provides.iter().any(|what| own.iter().any(|own| own.provides.contains(what)))
            });
            types.extend(others);
        }
        let mut list = List::default();
        let kept = self.room - self.room / SHARE;
        self.room -= kept;
        for it in types {
            let offers: Vec<String> = it
                .offers
                .iter()
                .map(|offer| {
                    let speed = offer.relative_speed.map(|speed| format!(" speed {}", shown(speed)));
                    let cost = offer.relative_cost.map(|cost| format!(" cost {}", shown(cost)));
                    format!(
                        "{}{}{}",
                        words::executor(offer.executor),
                        speed.unwrap_or_default(),
                        cost.unwrap_or_default()
                    )
                })
                .collect();
            let (name, summary) = (self.quoted(&it.name), self.quoted(&it.summary));
            let provides = self.names(&it.provides);
            let line =
                format!("- {name}: {summary} (provides: {provides}; executors: {})", offers.join(", "));
            let named = is_presentable(&it.name) && self.offer.types.len() < MOST_NAMES;
            let mut room = self.room.saturating_sub(if named { listed(&it.name) } else { 0 });
            if list.add(line, &mut room) {
                self.room = room;
                if named {
                    self.offer.types.push(it.name);
                }
            }
        }
        self.room += kept;
        list.told("node types")
    }
}
