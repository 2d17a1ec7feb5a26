//! What threshold-heuristic's rules cost in Flyball, in a fresh sandbox for each call, beside the same rules as an Extism plugin,
//! as Rego in regorus and as CEL, on the same observations, in turns. `cargo run --release [-- ROUNDS]`

mod cel;
mod extism;
mod flyball;
mod input;
mod rego;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use flyball_ports::Sight;
use input::Found;

/// One way to have the rules judged.
trait Peer {
    /// How the table calls it.
    fn name(&self) -> &'static str;
    /// Brings the observation into the form that the rules read.
    fn give(&mut self, sight: &Sight) -> Result<()>;
    /// Has it judged.
    fn judge(&mut self) -> Result<()>;
    /// What was found, as a host could use it.
    fn found(&mut self) -> Result<Vec<Found>>;
}

/// Medians, of one call.
struct Times {
    judged: Duration,
    whole: Duration,
}

fn main() -> Result<()> {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(300);
    println!(
        "One observation, judged by the same rules. 'judge': the rules alone, their input ready; 'whole': from the host's"
    );
    println!(
        "observation to findings in the host, the input's and output's JSON written and read where there is some. Medians of {rounds}.\n"
    );
    for nodes in [10, 50, 500] {
        compare(nodes, rounds)?;
    }
    Ok(())
}

fn compare(nodes: usize, rounds: usize) -> Result<()> {
    let sight = input::sight(nodes);
    let mut peers: Vec<Box<dyn Peer>> = vec![
        Box::new(flyball::Fresh::new()?),
        Box::new(extism::Warm::new()?),
        Box::new(extism::Fresh::new()?),
        Box::new(rego::Machine::new()?),
        Box::new(rego::Interpreter::new()?),
        Box::new(cel::Expression::new()?),
    ];
    same_findings(&mut peers, &sight)?;
    let mut taken: Vec<Vec<(Duration, Duration)>> = vec![Vec::new(); peers.len()];
    for _ in 0..rounds {
        for (peer, taken) in peers.iter_mut().zip(&mut taken) {
            taken.push(timed(peer.as_mut(), &sight)?);
        }
    }
    let times: Vec<Times> = taken.into_iter().map(medians).collect();
    let ours = &times[0];
    println!("{nodes} nodes{:27}{:>10} {:>10} {:>14}", "", "judge µs", "whole µs", "ours of judge");
    for (peer, theirs) in peers.iter().zip(&times) {
        println!(
            "  {:<32} {:>10.1} {:>10.1} {:>13.2}x{}",
            peer.name(),
            theirs.judged.as_secs_f64() * 1e6,
            theirs.whole.as_secs_f64() * 1e6,
            ours.judged.as_secs_f64() / theirs.judged.as_secs_f64(),
            aim(peer.name(), ours, theirs),
        );
    }
    println!();
    Ok(())
}

/// A comparison of rules that do not agree would be one of nothing.
fn same_findings(peers: &mut [Box<dyn Peer>], sight: &Sight) -> Result<()> {
    let mut expected: Option<Vec<Found>> = None;
    for peer in peers {
        peer.give(sight)?;
        peer.judge()?;
        let mut found = peer.found()?;
        found.sort();
        let expected = expected.get_or_insert_with(|| found.clone());
        ensure!(expected.len() == 7, "the observation should have a finding of each kind: {expected:?}");
        ensure!(*expected == found, "{} finds {found:?}, the first found {expected:?}", peer.name());
    }
    Ok(())
}

fn timed(peer: &mut dyn Peer, sight: &Sight) -> Result<(Duration, Duration)> {
    // What one peer left in the caches is not the next one's cost.
    peer.give(sight)?;
    peer.judge()?;
    peer.found()?;
    let begun = Instant::now();
    peer.give(sight)?;
    let given = Instant::now();
    peer.judge()?;
    let judged = given.elapsed();
    std::hint::black_box(peer.found()?);
    Ok((judged, begun.elapsed()))
}

fn medians(taken: Vec<(Duration, Duration)>) -> Times {
    let (mut judged, mut whole): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
    judged.sort();
    whole.sort();
    Times { judged: judged[judged.len() / 2], whole: whole[whole.len() / 2] }
}

fn aim(name: &str, ours: &Times, theirs: &Times) -> &'static str {
    let ratio = ours.judged.as_secs_f64() / theirs.judged.as_secs_f64();
    let met = match name {
        extism::WARM => ratio <= 0.1,
        rego::MACHINE | rego::INTERPRETER | cel::NAME => ratio < 1.0,
        _ => return "",
    };
    match (name, met) {
        (extism::WARM, true) => "  aim at most 0.10: met",
        (extism::WARM, false) => "  aim at most 0.10: missed",
        (_, true) => "  aim below 1: met",
        (_, false) => "  aim below 1: missed",
    }
}
