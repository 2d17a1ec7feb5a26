//! What may help in a case: the best first, each with its reason, or why it cannot be.

use flyball_plugin::prelude::*;
use flyball_plugin::{Buffering, Bypass, ExecutorChange, Replacement, Scaling};

use crate::case::Case;

/// An action that may help, and why.
pub(crate) struct Remedy {
    pub(crate) action: Action,
    pub(crate) reason: String,
    pub(crate) confidence: f64,
    pub(crate) rests_on: Vec<Evidence>,
}

type Maybe = Result<Remedy, String>;

pub(crate) fn remedies_for(case: &Case) -> Vec<Maybe> {
    match case.finding.code.as_str() {
        "node-stuck" if case.held_up_by().is_some() => pressed(case),
        "node-failed" | "node-stuck" | "heartbeat-stale" => crashed(case),
        "errors-high" => failing(case),
        "queue-pressure" if case.errs() => failing(case),
        "queue-pressure" => pressed(case),
        "node-degraded" if case.errs() => failing(case),
        "node-degraded" if case.node.queue_fill() > 0.8 => pressed(case),
        _ => slow(case),
    }
}

fn crashed(case: &Case) -> Vec<Maybe> {
    vec![restart(case), other_executor(case), replace(case), bypass(case)]
}

fn failing(case: &Case) -> Vec<Maybe> {
    vec![bypass(case), restart(case), replace(case)]
}

fn slow(case: &Case) -> Vec<Maybe> {
    let mut remedies = vec![faster_executor(case)];
    if case.node.queue_fill() > 0.5 {
        // More room makes nothing quicker.
        let room = |remedy: &Maybe| matches!(remedy, Ok(Remedy { action: Action::AdjustBuffering(_), .. }));
        remedies.extend(pressed(case).into_iter().filter(|remedy| !room(remedy)));
    }
    remedies
}

fn restart(case: &Case) -> Maybe {
    if case.spec.executor != Executor::Multiprocess {
        return Err("it has no process to restart".to_owned());
    }
    let id = case.node_id();
    Ok(Remedy {
        action: Action::RestartProcess(id.to_owned()),
        reason: format!("the process of {id} does not work; a new one is the smallest remedy"),
        confidence: 0.9,
        rests_on: vec![cited(case)],
    })
}

fn other_executor(case: &Case) -> Maybe {
    let Some((to, _)) = case.other_executors().into_iter().next() else {
        return Err(format!("{} is offered in no other executor", case.spec.node_type));
    };
    Ok(switch(
        case,
        to,
        format!("{} does not work where it is; its type runs elsewhere, too", case.node_id()),
        0.7,
    ))
}

fn faster_executor(case: &Case) -> Maybe {
    let faster = case.other_executors().into_iter().find_map(|(to, speed)| {
        speed.filter(|speed| *speed >= case.rules.min_speedup).map(|speed| (to, speed))
    });
    let Some((to, speed)) = faster else {
        return Err(format!(
            "{} is offered in no executor that is fast enough to change to",
            case.spec.node_type
        ));
    };
    let reason =
        format!("{} is slow where it is; its type is offered {speed:.1} times faster", case.node_id());
    let mut remedy = switch(case, to, reason, 0.8);
    remedy.rests_on.push(case.read(Metric::LatencyP99Ms));
    remedy.rests_on.retain(|evidence| evidence.value.is_none_or(f64::is_finite));
    Ok(remedy)
}

fn switch(case: &Case, to: Executor, reason: String, confidence: f64) -> Remedy {
    let node = case.node_id().to_owned();
    Remedy {
        action: Action::SwitchExecutor(ExecutorChange { node, to }),
        reason,
        confidence,
        rests_on: vec![cited(case)],
    }
}

fn replace(case: &Case) -> Maybe {
    let Some(other) = case.alternative() else {
        return Err(format!("no other type provides what {} does", case.spec.node_type));
    };
    Ok(Remedy {
        action: Action::ReplaceNode(Replacement {
            node: case.node_id().to_owned(),
            node_type: other.name.clone(),
            config: None,
        }),
        reason: format!("{} keeps failing, and {} provides the same", case.node_id(), other.name),
        confidence: 0.5,
        rests_on: vec![cited(case)],
    })
}

fn bypass(case: &Case) -> Maybe {
    case.dispensable()?;
    let node = case.node_id().to_owned();
    let reason = format!("{node} fails, and the pipeline is right without it");
    let mut rests_on = vec![cited(case)];
    if case.errs() {
        rests_on.push(case.read(Metric::ErrorsPerSecond));
    }
    Ok(Remedy {
        action: Action::BypassNode(Bypass { node, active: true }),
        reason,
        confidence: 0.8,
        rests_on,
    })
}

/// More room for a burst; more workers when more comes than is done, for as long as can be seen.
fn pressed(case: &Case) -> Vec<Maybe> {
    if let Some(follower) = case.held_up_by() {
        return vec![Err(format!("it waits for {follower}, which is the one to help"))];
    }
    let Some(load) = Load::of(case) else {
        return vec![Err("it finishes nothing, so its load cannot be told".to_owned())];
    };
    let scale = scale(case, &load);
    if load.sustained {
        vec![scale, faster_executor(case), buffer(case, &load)]
    } else if load.depth / load.service <= case.rules.drain_seconds {
        vec![buffer(case, &load), scale]
    } else {
        vec![scale, buffer(case, &load)]
    }
}

/// What comes and what is done, in items a second.
struct Load {
    depth: f64,
    service: f64,
    arrival: f64,
    sustained: bool,
}

impl Load {
    fn of(case: &Case) -> Option<Self> {
        let (depth, service) = (case.node.queue_depth(), case.node.items_per_second());
        if !(service > 0.0) || !depth.is_finite() {
            return None;
        }
        let burst = Self { depth, service, arrival: service, sustained: false };
        let ticks = case.rules.sustained_ticks;
        let depths = case.past.series(case.node_id(), Metric::QueueDepth, ticks);
        let (Some(first), Some(then)) = (depths.first().copied(), case.past.at(ticks)) else {
            return Some(burst);
        };
        let seconds = case.now.taken_at().saturating_sub(then.taken_at()) as f64 / 1_000.0;
        if depths.len() < ticks as usize || !(seconds > 0.0) {
            return Some(burst);
        }
        let arrival = service + ((depth - first) / seconds).max(0.0);
        let later = depths.iter().skip(1).chain([&depth]);
        let grows = depths.iter().zip(later).all(|(earlier, later)| later > earlier);
        // A full queue hides how much more would come.
        let full = depths.iter().chain([&depth]).all(|depth| *depth >= 0.95 * case.node.queue_capacity());
        Some(Self { arrival, sustained: full || grows, ..burst })
    }
}

fn scale(case: &Case, load: &Load) -> Maybe {
    let (have, most) = (case.spec.replicas.max(1), case.rules.max_replicas);
    if have >= most {
        return Err(format!("it has {have} workers already, and may have {most}"));
    }
    let per_replica = load.service / f64::from(have);
    let wanted = rounded_up(load.arrival / per_replica).clamp(have + 1, most);
    let node = case.node_id().to_owned();
    let reason = format!(
        "{:.1} items a second come to {node} and {have} workers do {:.1}: {wanted} are needed",
        load.arrival, load.service
    );
    Ok(Remedy {
        action: Action::ScaleNode(Scaling { node, replicas: wanted }),
        reason,
        confidence: 0.8,
        rests_on: vec![case.read(Metric::ItemsPerSecond), case.read(Metric::QueueDepth)],
    })
}

/// `f64::ceil` needs std; the number is positive and small.
fn rounded_up(number: f64) -> u32 {
    let whole = number as u32;
    if f64::from(whole) < number { whole.saturating_add(1) } else { whole }
}

fn buffer(case: &Case, load: &Load) -> Maybe {
    let (have, most) = (case.spec.queue_capacity, case.rules.max_capacity);
    let capacity = have.saturating_mul(2).min(most);
    if capacity <= have {
        return Err(format!("{have} items may wait already, and at most {most} may"));
    }
    let node = case.node_id().to_owned();
    let seconds = load.depth / load.service;
    let reason = format!(
        "{:.0} items wait before {node}, {seconds:.1} s of its work: a longer queue takes the burst",
        load.depth
    );
    Ok(Remedy {
        action: Action::AdjustBuffering(Buffering { node, capacity }),
        reason,
        confidence: 0.7,
        rests_on: vec![case.read(Metric::QueueDepth), case.read(Metric::QueueCapacity)],
    })
}

/// What the finding itself says, at the node.
fn cited(case: &Case) -> Evidence {
    Evidence::about(case.node_id()).note(case.finding.message.clone())
}
